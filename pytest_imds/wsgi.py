"""Between the server and the service: WSGI requests into Requests, Replies into WSGI responses."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from werkzeug import Request, Response

from pytest_imds.clock import Clock
from pytest_imds.connection import Held, SilentError
from pytest_imds.service import message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class CompleteResponse(Response):
    """A response of the service: body and headers are all there, as they go out."""

    def get_wsgi_response(self, environ: dict[str, Any]) -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        """Return it as it is; Werkzeug would look for headers to add or correct."""
        return cast(list[bytes], self.response), self.status, self.headers.to_wsgi_list()


def has_body(request: Request) -> bool:
    """Return whether a request has a body, which may be empty."""
    return "CONTENT_LENGTH" in request.environ or "HTTP_TRANSFER_ENCODING" in request.environ


def asked(request: Request) -> message.Request:
    """Return what a request asks of the service."""
    environ = request.environ
    body = request.get_data() if has_body(request) else b""
    path, query = (environ[part].encode("latin-1").decode(errors="replace") for part in ("PATH_INFO", "QUERY_STRING"))
    headers = {_header_name(name): value for name, value in environ.items() if name[:5] == "HTTP_"}
    return message.Request(environ["REQUEST_METHOD"], path, query, headers, body)


def response(reply: message.Reply, clock: Clock) -> CompleteResponse:
    """Return a reply of the service as it goes out; ``clock`` is the service's."""
    status = f"{reply.status} {HTTPStatus(reply.status).phrase}"
    parts: Iterable[bytes] = [reply.body] if reply.body else []
    if reply.silent_after is not None:
        parts = _broken_off(reply.body, reply.silent_after)
    if (later := reply.later) is not None:
        parts = Held(lambda: clock.time() >= later.second, lambda: response(later.reply(), clock).get_wsgi_response({}))
    return CompleteResponse(parts, status, list(reply.headers))


@lru_cache(maxsize=256)
def _header_name(wsgi_name: str) -> str:
    return wsgi_name[5:].replace("_", "-").lower()


def _broken_off(body: bytes, after: int) -> Iterator[bytes]:
    if after:
        yield body[:after]
    raise SilentError
