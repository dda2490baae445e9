"""A server that tells of each request, before the reply leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock
from traceback import format_exception
from typing import Any

from werkzeug import Request, Response

from pytest_imds import wsgi
from pytest_imds.bodies import Held, Scripted
from pytest_imds.faults.script import Script, Writer
from pytest_imds.listener import Answer
from pytest_imds.server import ImdsServer

# Where a request has the names of the faults that broke it.
BROKEN_BY = "imds.broken_by"


@dataclass(frozen=True)
class Answered:
    """A request, and what is sent for it.

    Attributes:
        method: its verb; None for what is no HTTP request.
        target: its path and query, as they came; None for what is no HTTP request.
        status: that of the reply; None if none leaves.
        bytes: how long the body is that leaves.
        faults: what broke it.
    """

    method: str | None
    target: str | None
    status: int | None
    bytes: int
    faults: tuple[str, ...] = ()


class TellingServer(ImdsServer):
    """A server that tells what it answers, and keeps no record of it: it may run for days.

    Args:
        tell: is told of each request.
        complain: is told what goes wrong inside the server.
        options: what ``ImdsServer`` takes.

    Attributes:
        newest: the newest api-version that the service has; None is all of them.
    """

    def __init__(self, tell: Callable[[Answered], None], complain: Callable[[str], None], **options: Any) -> None:
        super().__init__(**options)
        self._tell = tell
        self._complain = complain
        self._turn = Lock()
        self.newest: str | None = options.get("newest")

    def answer(self, environ: dict[str, Any]) -> Answer:
        """Answer a request, and tell of it when it is clear what is sent."""
        return self._told(environ, super().answer(environ))

    def application(self, request: Request) -> Response:
        """Answer a request, and note in it what broke it."""
        wsgi.read_body(request)  # which takes as long as the client does, so not in turn
        with self._turn:  # the log of the faults does not say which of two equal requests they broke
            before = len(self.faults.fired)
            response = super().application(request)
            request.environ[BROKEN_BY] = tuple(fired.fault for fired in self.faults.fired[before:])
            self.log.clear()
        return response

    def refusal(self, error: str) -> bytes:
        """Return the bytes that refuse what is no HTTP request, and tell of it."""
        sent = super().refusal(error)
        self._tell(Answered(None, None, *_measured(sent)))
        return sent

    def report(self, problem: BaseException, request: str) -> None:
        """Tell what went wrong, in place of the request that met it."""
        self._complain(f"while it answered {request}:\n{''.join(format_exception(problem))}".rstrip())

    def _told(self, environ: dict[str, Any], answer: Answer) -> Answer:
        body, status, headers = answer
        if isinstance(body, Held):
            make = body.answer
            return Held(body.clock, body.due, lambda: self._told(environ, make())), status, headers
        if isinstance(body, Scripted):
            return Scripted(body.body, self._overheard(environ, body.writer), body.clock), status, headers
        self._tell_of(environ, int(status[:3]), 0 if environ["REQUEST_METHOD"] == "HEAD" else _size(body, headers))
        return answer

    def _overheard(self, environ: dict[str, Any], writer: Writer) -> Writer:
        def write(head: bytes, body: bytes) -> Script:
            script = writer(head, body)
            self._tell_of(environ, *_measured(b"".join(piece.sent for piece in script.pieces)))
            return script

        return write

    def _tell_of(self, environ: dict[str, Any], status: int | None, size: int) -> None:
        # A byte that is no ASCII might do something to a terminal.
        target = environ["RAW_URI"].encode("latin-1").decode("ascii", "backslashreplace")
        self._tell(Answered(environ["REQUEST_METHOD"], target, status, size, environ.get(BROKEN_BY, ())))


def _measured(sent: bytes) -> tuple[int | None, int]:
    """Return the status and the length of the body of the bytes of a reply, of which the end may be missing."""
    head, _, body = sent.partition(b"\r\n\r\n")
    version, _, rest = head.partition(b" ")
    return (int(rest[:3]), len(body)) if version == b"HTTP/1.1" and rest[:3].isdigit() else (None, len(sent))


def _size(body: Iterable[bytes], headers: list[tuple[str, str]]) -> int:
    """Return how long a body is. The errors of Werkzeug itself are no lists, and have been measured."""
    return sum(map(len, body)) if isinstance(body, list) else int(dict(headers)["Content-Length"])
