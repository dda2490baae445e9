"""A proxy in the environment that no client of IMDS may take, and that serves all other clients well."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, Protocol

from pytest_imds.network import addresses
from pytest_imds.network.environment import LOOPBACK

if TYPE_CHECKING:
    from pytest_imds.listener import Answer

# How long another server may take to be connected to, and for each part of its reply.
PATIENCE_S = 30.0
# What is between two neighbours, and goes no further (RFC 9110, section 7.6.1).
OF_THE_CONNECTION = {
    *("connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"),
    *("te", "trailer", "transfer-encoding", "upgrade", "content-length"),
}
AUTHORITY = re.compile(r"(\[.*\]|[^:]*):?(\d*)")


class Answering(Protocol):
    """A server of the test."""

    def answer(self, environ: dict[str, Any]) -> Answer:
        """Answer a request."""


class Listening(Answering, Protocol):
    """One whose port is known."""

    port: int


def leads_to(authority: str, port: int) -> bool:
    """Return whether a request for ``authority`` is for the server of the test that listens on ``port``."""
    host, named = _parted(authority)
    return (host in LOOPBACK and named == port) or (addresses.of_azure(host) is not None and addresses.is_http(named))


class Trap:
    """The proxy: what clients send it for a server of the test is answered by that one, and the rest passed on.

    Args:
        servers: returns the servers of the test.
    """

    def __init__(self, servers: Callable[[], Iterable[Listening]]) -> None:
        self._servers = servers

    def answer(self, environ: dict[str, Any], proxy: Answering) -> Answer:
        """Answer a request for another server than ``proxy``, to which it has come. No record has what is passed on."""
        authority = environ["HTTP_HOST"]
        for server in self._servers():
            if leads_to(authority, server.port):
                return server.answer(environ)
        host, port = _parted(authority)
        try:
            address = _address(host, port)
        except (OSError, ValueError) as problem:
            _body(environ)  # what follows it on the connection is the next request
            return _unreachable(authority, problem)
        if addresses.of_azure(address):  # a name of it, or another port: nothing is sent there
            return proxy.answer(environ)
        try:
            return _passed_on(environ, address, port)
        except (OSError, ValueError, HTTPException, RuntimeError) as problem:  # pytest-socket raises the last
            return _unreachable(authority, problem)


def _unreachable(authority: str, problem: Exception) -> Answer:
    told = f"pytest-imds, which stands in for a proxy, cannot reach {authority}: {problem}".encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(told)))]
    return [told], "502 Bad Gateway", headers


def _parted(authority: str) -> tuple[str, int]:
    """Return the host and the port of an authority."""
    host, port = AUTHORITY.fullmatch(authority).groups()  # type: ignore[union-attr]  # of the head, where it was read
    return host.strip("[]").lower(), int(port or 80)


def _passed_on(environ: Mapping[str, Any], address: str, port: int) -> Answer:
    content = _body(environ)
    sized = [] if content is None else [("Content-Length", str(len(content)))]
    connection = HTTPConnection(address, port, timeout=PATIENCE_S)
    try:
        connection.putrequest(environ["REQUEST_METHOD"], environ["RAW_URI"], skip_host=True, skip_accept_encoding=True)
        for name, value in (*_sent_on(environ), *sized):
            connection.putheader(name, value)
        connection.endheaders(content)
        reply = connection.getresponse()
        received = reply.read()
        kept = [(name, value) for name, value in reply.getheaders() if name.lower() not in OF_THE_CONNECTION]
        size = reply.getheader("Content-Length") if environ["REQUEST_METHOD"] == "HEAD" else str(len(received))
        kept += [] if size is None else [("Content-Length", size)]
        return [received], f"{reply.status} {reply.reason}", kept
    finally:
        connection.close()


def _body(environ: Mapping[str, Any]) -> bytes | None:
    """Read the body of a request, if it has one."""
    if "wsgi.input_terminated" in environ:
        return bytes(environ["wsgi.input"].read())
    return bytes(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))) if "CONTENT_LENGTH" in environ else None


def _address(host: str, port: int) -> str:
    """Return an address of a host; where any of them is Azure's, that one.

    Raises:
        OSError: it has none.
        ValueError: no host can be called that.
    """
    known = [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    return next((address for address in known if addresses.of_azure(address)), known[0])


def _sent_on(environ: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the headers that are passed on."""
    named = {name.strip().lower() for name in environ.get("HTTP_CONNECTION", "").split(",")}
    sent = {name[5:]: value for name, value in environ.items() if name[:5] == "HTTP_"}
    if "CONTENT_TYPE" in environ:
        sent["CONTENT_TYPE"] = environ["CONTENT_TYPE"]
    for name, value in sent.items():
        header = name.replace("_", "-").title()
        if header.lower() not in OF_THE_CONNECTION | named:
            yield header, value
