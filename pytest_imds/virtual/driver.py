"""What makes the time of a clock virtual."""

from __future__ import annotations

import os
from math import isnan
from operator import index
from types import TracebackType
from typing import ClassVar, SupportsIndex

from pytest_imds.clock import Clock
from pytest_imds.errors import ImdsUsageError
from pytest_imds.patches import Patches
from pytest_imds.virtual import functions, refusals, threads
from pytest_imds.virtual.bindings import replace
from pytest_imds.virtual.loops import Loops
from pytest_imds.virtual.traffic import Traffic
from pytest_imds.virtual.waiter import Waiter
from pytest_imds.virtual.waiting import Waiting

# The machine's sleep refuses more: it counts nanoseconds in 64 bits.
LONGEST_S = 9_223_372_036


class VirtualTime:
    """Makes the time of a clock virtual for as long as it is entered.

    ``time``, threads and asyncio tell and keep that time, which goes on by itself to what is waited for first when
    nothing but time can bring it. On exit all is as it was; what is waited for then is waited for really.

    Args:
        clock: whose time it is.
        traffic: what the servers of the test are doing.

    Example:
        >>> with VirtualTime(clock, traffic):
        ...     time.sleep(70)  # a few real microseconds
    """

    _active: ClassVar[VirtualTime | None] = None

    def __init__(self, clock: Clock, traffic: Traffic) -> None:
        self._clock = clock
        self._traffic = traffic

    def __enter__(self) -> VirtualTime:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Make time virtual.

        Raises:
            ImdsUsageError: it is virtual already.
        """
        if VirtualTime._active is not None:
            raise ImdsUsageError.wrong_moment("virtual time", "virtual already", "the machine's")
        self._replaced = [*functions.replacements(), *refusals.replacements()]
        self._patches = Patches()
        self._loops = Loops()
        self._waiting = Waiting(self._clock, self._traffic, self._loops.connections)
        self._before_s = self._clock.monotonic() - self.monotonic()
        VirtualTime._active = self
        try:
            self._clock.driven_by(self)
            functions.tell(self._clock, self._ahead_s)
            replace(self._replaced)
            self._loops.catch(self._patches, self._waiting, self._before_s)
            threads.patch(self._patches, self._waiting)
            refusals.patch(self._patches)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Let time be the machine's again."""
        if VirtualTime._active is not self:
            return
        self._waiting.end()
        self._patches.undo()
        self._loops.let_go(self._ahead_s())
        functions.tell(None)
        replace([(ours, theirs) for theirs, ours in self._replaced])
        self._clock.driven_by(None)
        VirtualTime._active = None

    def time(self) -> float:
        """Return what the machine's ``time.time`` says."""
        return functions.machine["time"]()  # type: ignore[no-any-return]

    def monotonic(self) -> float:
        """Return what the machine's ``time.monotonic`` says."""
        return functions.machine["monotonic"]()  # type: ignore[no-any-return]

    def sleep(self, seconds: float | SupportsIndex) -> None:
        """Wait until the clock has gone on by ``seconds``."""
        exact = seconds if isinstance(seconds, float) else index(seconds)
        if self._waiting.over or isnan(exact) or not 0 < exact <= LONGEST_S:
            functions.machine["sleep"](seconds)
        else:
            self._waiting.wait(Waiter(self._waiting.deadline(exact)))

    def advance(self, seconds: float) -> None:
        """Move the clock on, in turn with whoever else moves it."""
        self._waiting.move(seconds)

    def nudge(self) -> None:
        """Move the clock on to what is waited for, if nothing but time can bring it."""
        self._waiting.nudge()

    def _ahead_s(self) -> float:
        return self._before_s + self._waiting.moved_s

    @classmethod
    def _forget(cls) -> None:
        """Be over: a child process has the machine's time."""
        if (active := cls._active) is not None:
            functions.tell(None)
            active._waiting.forget()
            active._clock.driven_by(None)
            cls._active = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=VirtualTime._forget)
