"""A thread that waits for virtual time."""

from __future__ import annotations

from contextlib import suppress
from threading import TIMEOUT_MAX, Lock, get_ident, get_native_id


class Waiter:
    """A thread that waits for a moment of virtual time, or with None for something else.

    With ``drives`` it makes time go on by itself; otherwise it does while the thread waits that began virtual time.
    """

    come = False
    # Whether it leaves it to others to see when time may go on; it must be woken then.
    aside = False
    can_be_woken = True

    def __init__(self, deadline: float | None, *, drives: bool = True) -> None:
        self.deadline = deadline
        self.drives = drives
        self.thread = get_ident()
        self.native_id = get_native_id()
        self.asleep = False
        self._gate = Lock()
        self._gate.acquire()

    def ready(self) -> bool:
        """Return whether what it waits for has come, though its thread need not know yet."""
        return self.come

    def pause(self, seconds: float) -> bool:
        """Wait really; return whether what it waits for has come."""
        if not self.aside:
            self._gate.acquire(blocking=False)  # a pause that is over may have been ended once more
        if not self.come:
            self.asleep = self.aside
            self._gate.acquire(timeout=max(0.0, min(seconds, TIMEOUT_MAX)))
            self.asleep = False
        return self.come

    def wake(self) -> None:
        """End the pause."""
        with suppress(RuntimeError):  # it has been ended already
            self._gate.release()

    def finish(self, seconds: float) -> None:
        """Wait really for the rest, for time is virtual no more."""
        self.pause(seconds)
