"""The waits of threads that have a time-out: for a condition, and for the end of a thread."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import wraps
from types import FrameType
from typing import Any

from pytest_imds.patches import Patches
from pytest_imds.virtual.bindings import keeps_real_time, module_of
from pytest_imds.virtual.waiter import Waiter
from pytest_imds.virtual.waiting import Waiting

# What waits on behalf of its caller.
CALLED = ("threading", "queue", "concurrent.futures._base")


class Notified(Waiter):
    """A thread that waits for a condition, in the place of the lock that the condition would release."""

    def release(self) -> None:
        """Let the thread go on: it is notified."""
        self.come = True
        self.wake()


class Joining(Waiter):
    """A thread that waits for the end of another."""

    can_be_woken = False

    def __init__(self, deadline: float, joined: threading.Thread, join: Callable[..., None]) -> None:
        super().__init__(deadline, drives=False)
        self._joined = joined
        self._join = join

    def ready(self) -> bool:
        """Return whether the other thread has ended."""
        return not self._joined.is_alive()

    def pause(self, seconds: float) -> bool:
        """Wait really; return whether the other thread has ended."""
        self._join(self._joined, seconds)
        return self.ready()

    def finish(self, seconds: float) -> None:
        """Wait really for the rest."""
        self._join(self._joined, max(0.0, seconds))


def patch(patches: Patches, waiting: Waiting) -> None:
    """Make the time-outs of conditions, and of what is built on them, virtual, and those of joining threads."""

    def virtual(seconds: float | None, caller: FrameType | None) -> bool:
        while caller is not None and module_of(caller) in CALLED:
            caller = caller.f_back
        return seconds is not None and seconds > 0 and not waiting.over and not keeps_real_time(caller)

    def waits(wait: Callable[..., bool]) -> Callable[..., bool]:
        @wraps(wait)
        def wait_virtually(condition: Any, timeout: float | None = None) -> bool:
            if timeout is None or not virtual(timeout, sys._getframe(1)) or not condition._is_owned():
                return wait(condition, timeout)
            waiter = Notified(waiting.deadline(timeout), drives=False)
            condition._waiters.append(waiter)
            saved = condition._release_save()
            try:
                waiting.wait(waiter)
            finally:
                condition._acquire_restore(saved)
                if not waiter.come:
                    condition._waiters.remove(waiter)
            return waiter.come

        return wait_virtually

    def joins(join: Callable[..., None]) -> Callable[..., None]:
        @wraps(join)
        def join_virtually(joined: threading.Thread, timeout: float | None = None) -> None:
            if timeout is None or not virtual(timeout, sys._getframe(1)):
                join(joined, timeout)
                return
            join(joined, 0)  # refuses what cannot be joined
            if joined.is_alive():
                waiting.wait(Joining(waiting.deadline(timeout), joined, join))

        return join_virtually

    patches.put(threading.Condition, "wait", waits)
    patches.put(threading.Thread, "join", joins)
