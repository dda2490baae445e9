"""Between the server and the service: WSGI requests into Requests, Replies into WSGI responses."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from werkzeug import Request, Response
from werkzeug.exceptions import BadRequest

from pytest_imds.bodies import Held, Scripted
from pytest_imds.clock import Clock
from pytest_imds.faults.script import Writer, silent
from pytest_imds.service import message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


# What Werkzeug looks at to see whether a body may be sent, and where a redirection leads.
_NOWHERE = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80"}


# Where a request has its body when that has been read.
BODY = "imds.body"


class CompleteResponse(Response):
    """A response of the service: body and headers are all there, as they go out."""

    def get_wsgi_response(self, environ: dict[str, Any]) -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        """Return it as it is; Werkzeug would look for headers to add or correct."""
        return cast(list[bytes], self.response), self.status, self.headers.to_wsgi_list()


def has_body(request: Request) -> bool:
    """Return whether a request has a body, which may be empty."""
    return "CONTENT_LENGTH" in request.environ or "HTTP_TRANSFER_ENCODING" in request.environ


def read_body(request: Request) -> bytes:
    """Read the body of a request, and keep it there.

    Raises:
        BadRequest: it breaks off.
    """
    try:
        body: bytes = request.get_data()
    except OSError as broken:
        raise BadRequest(f"the body of the request broke off: {broken}") from None
    request.environ[BODY] = body
    return body


def last_words(reply: message.Reply) -> bytes:
    """Return the bytes of a reply after which the connection is closed."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in reply.headers)
    status = f"{reply.status} {HTTPStatus(reply.status).phrase}"
    return f"HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n".encode() + reply.body


def asked(request: Request) -> message.Request:
    """Return what a request, whose body has been read, asks of the service."""
    return seen(request.environ)


def seen(environ: dict[str, Any], most: int | None = None) -> message.Request:
    """Return what has arrived, with no more than ``most`` bytes of the body."""
    body: bytes = environ.get(BODY, b"")[:most]
    path, query = (environ[part].encode("latin-1").decode(errors="replace") for part in ("PATH_INFO", "QUERY_STRING"))
    headers = {_header_name(name): value for name, value in environ.items() if name[:5] == "HTTP_"}
    return message.Request(environ["REQUEST_METHOD"], path, query, headers, body, environ["imds.at_once"])


def response(reply: message.Reply, clock: Clock) -> CompleteResponse:
    """Return a reply of the service as it goes out; ``clock`` is the service's."""
    if (later := reply.later) is not None:
        return held(clock, later.second, lambda: response(later.reply(), clock))
    status = f"{reply.status} {reply.reason or HTTPStatus(reply.status).phrase}"
    complete = CompleteResponse([reply.body] if reply.body else [], status, list(reply.headers))
    return complete if reply.silent_after is None else scripted(complete, silent(reply.silent_after), clock)


def held(clock: Clock, second: float, make: Callable[[], Response]) -> CompleteResponse:
    """Return a response that is made when it is time for it."""
    return CompleteResponse(Held(clock, second, lambda: make().get_wsgi_response(_NOWHERE)), "200 OK", [])


def scripted(complete: Response, writer: Writer, clock: Clock) -> CompleteResponse:
    """Return a response whose bytes leave in another way than HTTP's."""
    body, status, headers = complete.get_wsgi_response(_NOWHERE)
    if isinstance(body, Held):
        answer = body.answer
        return held(clock, body.due, lambda: scripted(CompleteResponse(*answer()), writer, clock))
    return CompleteResponse(Scripted(body, writer, clock), status, headers)


@lru_cache(maxsize=256)
def _header_name(wsgi_name: str) -> str:
    return wsgi_name[5:].replace("_", "-").lower()
