"""The faults of a server: what a test has planned, in which order, and what has been broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from random import Random
from typing import Any, Literal, NamedTuple

from pytest_imds.clock import Clock
from pytest_imds.errors import ImdsUsageError
from pytest_imds.faults.chaos import Chaos
from pytest_imds.faults.effects import Door, Effect, Late
from pytest_imds.faults.fault import Fault, parameters
from pytest_imds.faults.kinds import Attempts, Kinds, When
from pytest_imds.faults.plan import Plan, Terms
from pytest_imds.faults.script import End, Writer, cut
from pytest_imds.service.message import Request

# Where chance strikes.
ANYWHERE = Terms()


class Fired(NamedTuple):
    """A request that a fault has broken.

    Attributes:
        fault: the name of the fault, such as ``gone``.
        request: verb and target, such as ``GET /metadata/instance?api-version=2021-02-01``; ``connect`` for an
            attempt to connect.
        at_s: when, in seconds from the beginning of the test, on its clock.
    """

    fault: str
    request: str
    at_s: float


class Window(NamedTuple):
    """When a fault has broken requests.

    Attributes:
        fault: how it is written, such as ``gone(window=70)``.
        begin_s: when it began, in seconds since the test began; None if it never has.
        end_s: when it is over, which may be yet to come; None if nobody knows.
        hits: how many requests it has broken.
    """

    fault: str
    begin_s: float | None
    end_s: float | None
    hits: int


class Broken(NamedTuple):
    """What breaks a request, and what happens to it: its reply is late, another, or its bytes leave in another way."""

    by: tuple[str, ...] = ()
    late_s: float = 0.0
    effect: Effect | None = None
    writer: Writer | None = None


class Faults(Kinds):
    """Breaks requests as a test has planned; each method plans one fault, from now on.

    Of several that would break a request the first that was planned does, and the others wait; ``latency`` goes
    together with any.

    Args:
        clock: the time of the service.
        seed: what chance comes from.
        lock: held while requests are counted.
        changed: called when something has been planned or cleared.
    """

    def __init__(self, clock: Clock, seed: str, lock: AbstractContextManager[Any], changed: Callable[[], None]) -> None:
        self._clock = clock
        self._seed = seed
        self._lock = lock
        self._changed = changed
        self._lines: list[list[Plan]] = []  # the plans of a line come one after another
        self._made: list[Plan] = []
        self._fired: list[Fired] = []
        self._chaos: Chaos | None = None
        self._shown: list[str] = []

    @property
    def fired(self) -> tuple[Fired, ...]:
        """What has been broken, in order; chaos is not among it."""
        return tuple(self._fired)

    @property
    def planned(self) -> bool:
        """Whether there is anything that might break a request."""
        return bool(self._lines) or self._chaos is not None

    def sequence(self, *faults: Fault) -> None:
        """Play faults one after another: each begins when the one before is over.

        Args:
            faults: such as ``Fault("gone", window=70), Fault("throttled", requests=2)``.

        Raises:
            ImdsUsageError: one that is not the last has no end.
        """
        apart = Faults(self._clock, f"{self._seed} {len(self._made)}", self._lock, lambda: None)
        for fault in faults:
            if not isinstance(fault, Fault):
                raise ImdsUsageError.wrong_value("sequence()", fault, 'faults, such as Fault("gone", window=70)')
            fault.plan(apart)
        line = apart._made
        if not line:
            raise ImdsUsageError.wrong_value("sequence()", (), "one fault at least")
        for plan in line[:-1]:
            if not plan.ends:
                raise ImdsUsageError.wrong_value("sequence()", plan.told, "faults with an end: times= or window=")
        self._add(line)

    def clear(self) -> None:
        """End all faults. One that has never fired still fails the test."""
        now = self._clock.time()
        with self._lock:
            for line in self._lines:
                for plan in line:
                    plan.cleared = now
            self._lines = []
        self._changed()

    def unleash(self, chaos: Chaos) -> None:
        """Let chance break what nothing else breaks."""
        self._chaos = chaos

    @property
    def chaotic(self) -> tuple[str, ...]:
        """What chance has broken, in order, a line each."""
        return tuple(self._shown)

    def windows(self) -> list[Window]:
        """Return what a test has planned, and when it broke requests, in the order of the plans."""
        began = self._clock.began
        spans = [(plan, *plan.span) for plan in self._made]
        return [Window(plan.told, _since(began, begun), _since(began, over), plan.hits) for plan, begun, over in spans]

    def breaking(self, request: Request) -> Broken:
        """Return what happens to ``request``, and take note of it."""
        now = self._clock.time()
        broken = Broken()
        with self._lock:
            for plan in self._current(now):
                late = isinstance(plan.effect, Late)
                if (late or broken.effect is None) and plan.breaks(request, now):
                    self._note(plan, request.line, now)
                    broken = _with(broken, plan.name, plan.effect, plan.random)
            if self._chaos is not None and ANYWHERE.match(request):
                broken = self._at_random(self._chaos, request, broken, now)
        return broken

    def door(self) -> Literal["refused", "unanswered"] | None:
        """Return what happens to those who try to connect now; None as a rule."""
        now = self._clock.time()
        with self._lock:
            plan = self._shut_by(now)
            if plan is None:
                return None
            plan.open(now)  # others' attempts are not seen: the window does not wait for one
            return plan.effect.kind if isinstance(plan.effect, Door) else None

    def may_open(self) -> bool:
        """Return whether a door that is shut may be opened: nobody is on the way to find it shut."""
        now = self._clock.time()
        return self.door() is None and not any(plan.expected(now) for plan in self._doors())

    @property
    def shuts(self) -> bool:
        """Whether a door is shut, or may be before the test ends."""
        now = self._clock.time()
        return not all(plan.over(now) for plan in self._doors())

    def attempted(self) -> None:
        """Take note that this process tries to connect."""
        now = self._clock.time()
        with self._lock:
            plan = self._shut_by(now)
            if plan is not None:
                plan.hit(now)
                self._note(plan, "connect", now)

    def idle(self) -> list[str]:
        """Return the faults that were to break something, and have not."""
        return [plan.told for plan in self._made if plan.terms.required and not plan.hits]

    def _plan(self, name: str, effect: Effect, told: dict[str, Any], when: When | Attempts) -> None:
        given: Mapping[str, Any] = {**when}
        for what in given:
            if what not in (known := parameters(name)):
                advice = "a connection that is not made has no path" if isinstance(effect, Door) else ""
                raise ImdsUsageError.unknown(f"parameter of the fault {name}", what, known, advice)
        shown = {**told, **{what: value for what, value in given.items() if what not in told}}
        written = [f"{what}={value!r}" for what, value in shown.items() if value is not None]
        random = Random(f"{self._seed} {len(self._made)}")
        self._add([Plan(name, effect, Terms.of(given), f"{name}({', '.join(written)})", random)])

    def _add(self, line: list[Plan]) -> None:
        with self._lock:
            self._lines = [*self._lines, line]
            self._made = [*self._made, *line]
        self._changed()

    def _current(self, now: float) -> Iterator[Plan]:
        """Yield the first plan of each line that is not over."""
        for line in self._lines:
            plan = next((plan for plan in line if not plan.over(now)), None)
            if plan is not None:
                yield plan

    def _doors(self) -> list[Plan]:
        return [plan for line in self._lines for plan in line if isinstance(plan.effect, Door)]

    def _shut_by(self, now: float) -> Plan | None:
        shut = (plan for plan in self._current(now) if isinstance(plan.effect, Door) and plan.let_through)
        return next(shut, None)

    def _note(self, plan: Plan, request: str, now: float) -> None:
        self._fired.append(Fired(plan.name, request, now - self._clock.began))

    def _at_random(self, chaos: Chaos, request: Request, broken: Broken, now: float) -> Broken:
        chosen = chaos.chosen(broken=broken.effect is not None)
        if chosen is None:
            return broken
        self._shown.append(f"{chosen.told} at {now - self._clock.began:.1f} s: {request.line}")
        return _with(broken, f"chaos: {chosen.told}", chosen.effect, chaos.random)


def _with(broken: Broken, name: str, effect: Effect, random: Random) -> Broken:
    by, late_s = (*broken.by, name), broken.late_s + effect.late_s(random)
    if isinstance(effect, Late):
        return broken._replace(by=by, late_s=late_s)
    # Who asks over a connection that was made before the door was shut is thrown out.
    writer = cut(0, End.RESET) if isinstance(effect, Door) else effect.writer(random)
    return Broken(by, late_s, effect, writer)


def _since(began: float, second: float | None) -> float | None:
    return None if second is None else second - began
