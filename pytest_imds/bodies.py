"""Bodies of replies that do not leave at once, or not as HTTP has it; the connection knows what to do with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from pytest_imds.clock import Clock
from pytest_imds.faults.script import Script, Writer

if TYPE_CHECKING:
    from pytest_imds.listener import Answer


class Held:
    """A body that is not there before its time.

    Args:
        clock: whose time it is.
        due: the second from which on it may be sent.
        answer: makes the answer, when it is time.
    """

    def __init__(self, clock: Clock, due: float, answer: Callable[[], Answer]) -> None:
        self.clock = clock
        self.due = due
        self.answer = answer

    def __iter__(self) -> Iterator[bytes]:
        """Give nothing yet."""
        return iter(())


class Scripted:
    """A body whose bytes leave, with those of the head, as a script says.

    Args:
        body: the body that would have left.
        writer: writes the script.
        clock: the time that the script goes by.
    """

    def __init__(self, body: Iterable[bytes], writer: Writer, clock: Clock) -> None:
        self.body = body
        self.clock = clock
        self.writer = writer

    def script(self, head: bytes, bodiless: bool) -> Script:
        """Return how head and body leave."""
        return self.writer(head, b"" if bodiless else b"".join(self.body))

    def __iter__(self) -> Iterator[bytes]:
        """Give nothing that could leave in the usual way."""
        return iter(())

    def close(self) -> None:
        """Close the body that would have left."""
        if hasattr(self.body, "close"):
            self.body.close()
