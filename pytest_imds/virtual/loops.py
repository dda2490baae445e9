"""The event loops of asyncio: their timers are moments that time goes on to."""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from selectors import EVENT_WRITE, BaseSelector
from types import FrameType
from typing import Any

from pytest_imds.patches import Patches
from pytest_imds.virtual import quiet
from pytest_imds.virtual.bindings import module_of
from pytest_imds.virtual.flight import Seen, seen
from pytest_imds.virtual.waiter import Waiter
from pytest_imds.virtual.waiting import Waiting

Events = list[tuple[Any, int]]
Select = Callable[[float | None], Events]

# No selector waits for less.
LEAST_S = 0.001


class Selecting(Waiter):
    """An event loop that waits for I/O, or for its next timer."""

    can_be_woken = False

    def __init__(self, deadline: float | None, select: Select) -> None:
        super().__init__(deadline)
        self.events: Events = []
        self._select = select

    def ready(self) -> bool:
        """Return whether I/O has come."""
        return bool(self.events or self._select(0))

    def pause(self, seconds: float) -> bool:
        """Wait really; return whether I/O has come."""
        if seconds < LEAST_S:
            super().pause(seconds)
            seconds = 0
        self.events = self._select(seconds)
        return bool(self.events)

    def finish(self, seconds: float) -> None:
        """Go back to the loop, which by now knows how long it is really."""


class Loops:
    """The event loops whose waits are virtual."""

    def __init__(self) -> None:
        # Each that has run in virtual time, with the selector of one that runs and what ``select`` it had.
        self._loops: dict[Any, tuple[BaseSelector, object] | None] = {}

    def catch(self, patches: Patches, waiting: Waiting, ahead_s: float) -> None:
        """Catch every loop that begins to run, and those that run: their time goes on by ``ahead_s``."""

        def runs(run_forever: Callable[[Any], None]) -> Callable[[Any], None]:
            @wraps(run_forever)
            def run_virtually(loop: Any) -> None:
                self._catch(loop, waiting)
                try:
                    run_forever(loop)
                finally:
                    self._let_go(loop)

            return run_virtually

        patches.put(asyncio.BaseEventLoop, "run_forever", runs)
        here = threading.get_ident()
        for ident, loop in _running():
            self._catch(loop, waiting)
            _shift(loop, ahead_s)
            if ident != here:
                with suppress(RuntimeError):  # it has been closed
                    loop.call_soon_threadsafe(int)  # it waits in the machine's select

    def let_go(self, ahead_s: float) -> None:
        """Let the loops go; their time goes back by ``ahead_s``."""
        for loop in self._loops:
            self._let_go(loop)
            _shift(loop, -ahead_s)
        self._loops.clear()

    def connections(self) -> Iterator[Seen]:
        """Return what the loops that run wait for I/O of, other than word from another thread."""
        for loop, caught in list(self._loops.items()):
            if caught is not None and (keys := caught[0].get_map()) is not None:
                own = loop._ssock.fileno()
                for key in list(keys.values()):
                    if key.fd != own:
                        yield seen(key.fd, looped=True, writes=bool(key.events & EVENT_WRITE))

    def _catch(self, loop: Any, waiting: Waiting) -> None:
        selector = loop._selector
        if waiting.over or self._loops.get(loop) or not isinstance(selector, BaseSelector):
            return
        theirs: Select = selector.select
        self._loops[loop] = selector, vars(selector).get("select")

        def select(timeout: float | None = None) -> Events:
            if waiting.over or (timeout is not None and timeout <= 0):
                return theirs(timeout)
            waiter = Selecting(None if timeout is None else waiting.deadline(timeout), theirs)
            waiting.wait(waiter)
            return waiter.events

        vars(selector)["select"] = select

    def _let_go(self, loop: Any) -> None:
        if caught := self._loops.get(loop):
            selector, before = caught
            self._loops[loop] = None
            del vars(selector)["select"]
            if before is not None:
                vars(selector)["select"] = before


def _running() -> Iterator[tuple[int, Any]]:
    """Return the loops that run, and in which threads."""
    for ident, frame in quiet.frames().items():
        caller: FrameType | None = frame
        while caller is not None:
            if caller.f_code.co_name == "run_forever" and module_of(caller) == "asyncio.base_events":
                yield ident, caller.f_locals["self"]
            caller = caller.f_back


def _shift(loop: Any, seconds: float) -> None:
    for timer in loop._scheduled:
        timer._when += seconds
    heapq.heapify(loop._scheduled)
