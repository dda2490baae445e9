"""Who waits for virtual time, and when it goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from itertools import islice
from math import inf, ulp
from threading import RLock, get_ident, get_native_id
from types import FrameType
from typing import NamedTuple

from pytest_imds.clock import Clock
from pytest_imds.virtual import quiet
from pytest_imds.virtual.bindings import module_of
from pytest_imds.virtual.flight import Seen, held_until, seen_at
from pytest_imds.virtual.traffic import Address, Standing, Traffic
from pytest_imds.virtual.waiter import Waiter

# How long nothing may have happened before time goes on; the shorter if there are no others than one who waits and the
# threads of the servers. Other systems than Linux do not tell whether a thread has run meanwhile, or would.
QUIET_S = 0.001 if quiet.LINUX else 0.005
QUIET_SERVERS_S = 0.0001 if quiet.LINUX else QUIET_S
# How often a look that saw something going on is followed by another so soon.
SHORT_PAUSES = 20
# How long those wait, at most, who leave it to another one to look.
ASIDE_S = 1
# Where replies are held back.
HOLDING = ("pytest_imds.connection", "pytest_imds.listener")


class Look(NamedTuple):
    """What was seen of the process at one moment."""

    moves: int
    spots: dict[int, quiet.Spot]
    standings: dict[Address, Standing]


class Waiting:
    """Moves a clock on to what is waited for first, when nothing but time can bring it.

    Those who wait look at the process again and again. Where two looks show the same, and nothing goes on, the clock
    goes on to the earliest of all the moments that are waited for. Whoever waited for that one must have gone on, and
    wait again or end, before it goes on further.
    """

    def __init__(self, clock: Clock, traffic: Traffic, connections: Callable[[], Iterable[Seen]]) -> None:
        self.moved_s = 0.0
        self._clock = clock
        self._traffic = traffic
        self._connections = connections
        self._began = get_ident()
        self._waiters: dict[int, Waiter] = {}
        self._holding: dict[int, FrameType] = {}
        self._resting: set[tuple[int, int]] = set()
        self._moves = 0
        self._ended: float | None = None
        self._lock = RLock()  # a signal handler may wait too

    @property
    def over(self) -> bool:
        """Whether time is virtual no more."""
        return self._ended is not None

    def deadline(self, seconds: float) -> float:
        """Return the moment in so many seconds."""
        return self._clock.monotonic() + seconds

    def wait(self, waiter: Waiter) -> None:
        """Wait until the waiter's deadline, or until what it waits for has come."""
        outer = self._enter(waiter)
        try:
            look, tries = None, 0
            while self._ended is None:
                self._stand(waiter)
                look = None if waiter.aside else self._try(waiter, look)
                rest = self._rest(waiter)
                tries += 1
                if rest <= 0 or waiter.pause(min(rest, self._pause(waiter, look, tries))):
                    return
            with self._lock:  # whoever ends it wakes everyone first
                ended = self._ended
                waiter.aside = False
            waiter.finish(inf if waiter.deadline is None else waiter.deadline - ended)
        finally:
            self._leave(waiter, outer)

    def nudge(self) -> None:
        """Move the clock on to a reply that is held back, on behalf of the thread that holds it."""
        if self.over or all(standing.due is None for standing in self._traffic.standings().values()):
            return
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and module_of(frame) not in HOLDING:
            frame = frame.f_back
        waiter = Waiter(None)
        if frame is not None:
            self._holding[waiter.thread] = frame
        outer = self._enter(waiter)
        try:
            if look := self._try(waiter, None):
                waiter.pause(QUIET_S)
                self._try(waiter, look)
        finally:
            self._leave(waiter, outer)

    def move(self, seconds: float) -> None:
        """Move the clock on, whatever goes on."""
        with self._lock:
            self._clock.move(seconds)
            self.moved_s += seconds
            self._moves += 1
            self._wake()

    def end(self) -> None:
        """Let everyone wait really for the rest."""
        with self._lock:
            self._ended = self._clock.monotonic()
            self._holding.clear()
            for waiter in self._waiters.values():
                waiter.wake()

    def forget(self) -> None:
        """Be over: this is a child process, in which nobody else waits."""
        self._lock = RLock()
        self._waiters.clear()
        self.end()

    def _enter(self, waiter: Waiter) -> Waiter | None:
        with self._lock:
            outer = self._waiters.get(waiter.thread)
            self._waiters[waiter.thread] = waiter
        return outer

    def _leave(self, waiter: Waiter, outer: Waiter | None) -> None:
        with self._lock:
            self._waiters.pop(waiter.thread, None)
            if outer is not None:
                self._waiters[waiter.thread] = outer
            if self._ended is None:
                for next_one in self._lookers():
                    if next_one.aside:
                        next_one.wake()

    def _rest(self, waiter: Waiter) -> float:
        return inf if waiter.deadline is None else waiter.deadline - self._clock.monotonic()

    def _stand(self, waiter: Waiter) -> None:
        """Let the waiter look at the process, or stand aside: many at once would keep it busy."""
        with self._lock:
            waiter.aside = waiter.can_be_woken and waiter not in self._lookers()

    def _lookers(self) -> list[Waiter]:
        waiters = self._waiters.values()
        return [*islice(waiters, 1), *islice((one for one in waiters if one.drives), 1)]

    def _pause(self, waiter: Waiter, look: Look | None, tries: int) -> float:
        if waiter.aside:
            return ASIDE_S
        if look is None:
            return QUIET_SERVERS_S if tries < SHORT_PAUSES else QUIET_S
        alone = len(self._waiters) == 1 and all(spot.server for spot in look.spots.values())
        return QUIET_SERVERS_S if alone else QUIET_S

    def _try(self, waiter: Waiter, before: Look | None) -> Look | None:
        """Move the clock on if that may be; otherwise return what was seen, None if something goes on."""
        with self._lock:
            if self._wake() or not self._may_drive(waiter) or any(one.ready() for one in self._waiters.values()):
                return None
            ran = self._run_times() if before is not None else {}
            if any(map(quiet.runs, ran)):
                return None
            standings = dict(self._traffic.standings())
            found = self._held(standings)
            # Others run while this thread asks the system: so where they are comes last.
            spots = quiet.spots(self._others())
            if found is None or spots is None:
                return None
            held, awaited = found
            look = Look(self._moves, spots, standings)
            servers = [spot for spot in spots.values() if spot.server]
            alone = not awaited and len(servers) == len(spots)
            if not (alone and self._resting.issuperset(spot.place for spot in servers)):
                if look != before or self._run_times() != ran:
                    return look
                self._resting.update(spot.place for spot in servers)
            if not any(one.come for one in self._waiters.values()):
                self._move_to_first(look, held)
        return None

    def _wake(self) -> bool:
        """Wake whoever's deadline is over; return whether there are such."""
        due = [waiter for waiter in self._waiters.values() if self._rest(waiter) <= 0]
        for waiter in due:
            waiter.wake()
        return bool(due)

    def _may_drive(self, waiter: Waiter) -> bool:
        """Return whether a waiter may make time go on: a watchdog may not while the test does something unseen."""
        began = self._began
        return waiter.drives or began in self._waiters or quiet.waits(quiet.frames().get(began))

    def _run_times(self) -> dict[int, int]:
        """Return how long each thread has run, but for this one and those that are asleep until they are woken."""
        asleep = {waiter.native_id for waiter in self._waiters.values() if waiter.asleep}
        return quiet.run_times({*asleep, get_native_id()})

    def _others(self) -> dict[int, FrameType]:
        """Return what the threads execute that must be seen doing nothing."""
        return {ident: frame for ident, frame in quiet.frames().items() if self._counts(ident, frame)}

    def _counts(self, ident: int, frame: FrameType) -> bool:
        if ident in self._waiters or (ident != self._began and quiet.idles(frame)):
            return False
        holding = self._holding.get(ident)
        if holding is not None and not quiet.within(frame, holding):
            del self._holding[ident]
            return True
        return holding is None

    def _held(self, standings: dict[Address, Standing]) -> tuple[list[float], bool] | None:
        """Return when replies are due that are held back, and whether a loop awaits one; None if something goes on."""
        if any(standing.busy for standing in standings.values()):
            return None
        servers = quiet.servers()
        blocked = [frame for ident, frame in self._others().items() if ident not in servers]
        if any(map(quiet.waits_for_child, blocked)):
            return None
        ports = self._traffic.ports
        try:
            waits = [*self._connections(), *(seen for frame in blocked for seen in seen_at(frame))]
        except RuntimeError:  # what was looked at has changed meanwhile
            return None
        held = held_until(ports, standings, waits)
        return None if held is None else (held, any(one.peer[1] in ports for one in waits))

    def _move_to_first(self, look: Look, held: list[float]) -> None:
        if look.moves != self._moves:  # a signal handler has moved it
            return
        while 0 < (rest := self._rest_of_all(held)) < inf:
            # Where a sum is rounded, it may take a little more.
            self.move(max(rest, ulp(self._clock.time())))

    def _rest_of_all(self, held: list[float]) -> float:
        now = self._clock.time()
        return min([*map(self._rest, self._waiters.values()), *(due - now for due in held)], default=inf)
