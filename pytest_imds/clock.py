"""The time that the simulated host lives in."""

from __future__ import annotations

import time
from collections import deque
from datetime import datetime, timezone
from math import inf
from typing import Any, NamedTuple, Protocol

from pytest_imds.errors import ImdsUsageError

CENTURY_S = 3_155_760_000
# The beginning of the year 9000: what is valid for years from then on can still be written as a date.
LATEST_S = 221_845_392_000
# How many jumps are kept, and how much time between two of them makes them one.
KEPT_JUMPS = 1000
ONE_JUMP_S = 0.001


class Driver(Protocol):
    """What makes the time of a clock virtual; while there is one, the functions of ``time`` tell that time."""

    def time(self) -> float:
        """Return what the machine's ``time.time`` says."""

    def monotonic(self) -> float:
        """Return what the machine's ``time.monotonic`` says."""

    def sleep(self, seconds: float) -> None:
        """Wait until the clock has gone on by ``seconds``."""

    def advance(self, seconds: float) -> None:
        """Move the clock on, in turn with whoever else moves it."""

    def nudge(self) -> None:
        """Move the clock on to what is waited for, if nothing but time can bring it."""


class Jump(NamedTuple):
    """Time that has passed at once.

    Attributes:
        at_s: when, in seconds since the test began.
        seconds: how much.
    """

    at_s: float
    seconds: float

    @property
    def end_s(self) -> float:
        """When it was over, in seconds since the test began."""
        return self.at_s + self.seconds


class Clock:
    """Tells the host's time: the machine's, and ahead of it by what was advanced.

    Everything the service does by time asks here. With the fixture ``imds_clock`` the functions of the module
    ``time`` tell this time too, and it goes on by itself wherever the code under test would only wait.

    Attributes:
        began: when it was made, which is when the test began, in seconds since the epoch.
    """

    def __init__(self) -> None:
        self._ahead_s = 0.0
        self._driver: Driver | None = None
        self.began = self.time()
        self._jumps: deque[Jump] = deque(maxlen=KEPT_JUMPS)

    @property
    def now(self) -> datetime:
        """What time it is, in UTC."""
        return datetime.fromtimestamp(self.time(), timezone.utc)

    def time(self) -> float:
        """Return seconds since the epoch, as :func:`time.time` does."""
        return (time if self._driver is None else self._driver).time() + self._ahead_s

    def monotonic(self) -> float:
        """Return seconds since some moment, as :func:`time.monotonic` does."""
        return (time if self._driver is None else self._driver).monotonic() + self._ahead_s

    def sleep(self, seconds: float) -> None:
        """Wait as :func:`time.sleep` does; in virtual time that takes no longer than others need to catch up."""
        (time if self._driver is None else self._driver).sleep(seconds)

    def advance(self, seconds: float) -> None:
        """Move the time on. Without ``imds_clock`` it is the service's alone: a client's own stays where it is.

        Args:
            seconds: how far; 0 or more.

        Raises:
            ImdsUsageError: time does not go backwards, nor further than dates do.
        """
        seconds_at_least("advance()", seconds, 0)
        if self.time() + seconds > LATEST_S:
            raise ImdsUsageError.wrong_value("advance()", seconds, "seconds that do not lead beyond the year 9000")
        (self.move if self._driver is None else self._driver.advance)(seconds)

    def reached(self, second: float) -> bool:
        """Return whether it is ``second`` since the epoch, or later; in virtual time, move on to it if that may be."""
        if self._driver is not None:
            self._driver.nudge()
        return self.time() >= second

    def move(self, seconds: float) -> None:
        """Move the time on, whatever else goes on."""
        at_s = self.time() - self.began
        if self._jumps and at_s - self._jumps[-1].end_s < ONE_JUMP_S:
            begun_s = self._jumps.pop().at_s
            self._jumps.append(Jump(begun_s, at_s + seconds - begun_s))
        else:
            self._jumps.append(Jump(at_s, seconds))
        self._ahead_s += seconds

    @property
    def jumps(self) -> tuple[Jump, ...]:
        """The times that passed at once, by ``advance()`` or because all only waited; those without end are one."""
        return tuple(self._jumps)

    def driven_by(self, driver: Driver | None) -> None:
        """Make the time virtual, or with None the machine's again."""
        self._driver = driver


def seconds_at_least(what: str, received: Any, least: float) -> float:
    """Return ``received``, a number of seconds.

    Raises:
        ImdsUsageError: it is no number, less than ``least``, or more than a century.
    """
    if isinstance(received, bool) or not isinstance(received, (int, float)) or not least <= received < inf:
        raise ImdsUsageError.wrong_value(what, received, f"seconds, {least} or more")
    if received > CENTURY_S:
        raise ImdsUsageError.wrong_value(what, received, "seconds, no more than a century; not milliseconds")
    return received
