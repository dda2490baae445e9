"""Hears what is sent for a request, before it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from pytest_imds.bodies import Held, Scripted
from pytest_imds.connection import failure
from pytest_imds.faults.script import Script, Writer

if TYPE_CHECKING:
    from pytest_imds.listener import Answer

Headers = list[tuple[str, str]]


class Hearer(Protocol):
    """Who is told what is sent."""

    def begins(self, status: int | None, headers: Headers, later_s: float = 0.0) -> None:
        """Hear that a reply leaves, the last byte of it ``later_s`` seconds later; None is none that has a status."""

    def sends(self, part: bytes) -> None:
        """Hear a part of the body that leaves."""

    def ends(self) -> None:
        """Hear that all has been said of the reply."""


def overheard(make: Callable[[], Answer], hearer: Hearer, *, bodiless: bool) -> Answer:
    """Return the answer that ``make`` makes, of which ``hearer`` is told.

    Args:
        make: makes it; if it fails, the connection says so to the client.
        hearer: who is told.
        bodiless: whether no body leaves, whatever there is; Werkzeug's replies have none then.
    """
    try:
        answer = make()
    except BaseException:
        hear(failure(), hearer)
        raise
    body, status, headers = answer
    if isinstance(body, Held):
        later = body.answer
        return Held(body.clock, body.due, lambda: overheard(later, hearer, bodiless=bodiless)), status, headers
    if isinstance(body, Scripted):
        return Scripted(body.body, _writer(body.writer, hearer), body.clock), status, headers
    if not isinstance(body, list):
        return _Parts(body, hearer, int(status[:3]), headers), status, headers
    hearer.begins(int(status[:3]), headers)
    if not bodiless:
        for part in body:
            hearer.sends(part)
    hearer.ends()
    return answer


class _Parts:
    """A body whose parts nobody knows before they are sent: Werkzeug's, of a handler of the test."""

    def __init__(self, body: Iterable[bytes], hearer: Hearer, status: int, headers: Headers) -> None:
        self._body = body
        self._hearer = hearer
        self._status = status
        self._headers = headers

    def __iter__(self) -> Iterator[bytes]:
        self._hearer.begins(self._status, self._headers)
        for part in self._body:
            self._hearer.sends(part)
            yield part
        self._hearer.ends()

    def close(self) -> None:
        if hasattr(self._body, "close"):
            self._body.close()


def _writer(writer: Writer, hearer: Hearer) -> Writer:
    def write(head: bytes, body: bytes) -> Script:
        script = writer(head, body)
        sent = b"".join(piece.sent for piece in script.pieces)
        hear(sent, hearer, sum(piece.after_s for piece in script.pieces))
        return script

    return write


def hear(sent: bytes, hearer: Hearer, later_s: float = 0.0) -> None:
    """Tell of the bytes of a reply, of which the end may be missing; the last leaves ``later_s`` seconds later."""
    status, headers, body = _read(sent)
    hearer.begins(status, headers, later_s)
    hearer.sends(body)
    hearer.ends()


def _read(sent: bytes) -> tuple[int | None, Headers, bytes]:
    """Return status, headers and body."""
    head, _, body = sent.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if version != "HTTP/1.1" or not rest[:3].isdigit():
        return None, [], sent
    pairs = (line.partition(": ") for line in lines)
    return int(rest[:3]), [(name, value) for name, _, value in pairs], body
