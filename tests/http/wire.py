"""The client of these tests: it sends exactly the bytes that a test wrote, and reads replies to the last byte."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import NamedTuple

from pytest_imds import ImdsServer, data

TIMEOUT_S = 5.0
METADATA = (("Metadata", "true"),)
INSTANCE = "/metadata/instance?api-version=2021-02-01"


class Reply(NamedTuple):
    """A reply as it came."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the value of a header, by its exact name."""
        return dict(self.headers).get(name)

    @property
    def told(self) -> tuple[int, str | None, bytes]:
        """What the reply says, to be compared with a row of ``errors.json``."""
        return self.status, self.header("Content-Type"), self.body


class Wire:
    """A client's connection."""

    def __init__(self, server: ImdsServer) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S)
        self._incoming = self.socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._incoming.close()
        self.socket.close()

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def ends_sending(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def head(self) -> tuple[int, list[tuple[str, str]]]:
        """Read the status and the headers of the next reply."""
        line = self._incoming.readline()
        assert line.startswith(b"HTTP/1.1 "), f"no reply, but {line!r}"
        status, headers = int(line.split()[1]), []
        while (line := self._incoming.readline()) != b"\r\n":
            name, value = line.decode("latin-1").rstrip("\r\n").split(": ", 1)
            headers.append((name, value))
        return status, headers

    def reply(self, method: str = "GET") -> Reply:
        """Read the next reply, and leave what follows it."""
        status, headers = self.head()
        length = 0 if method == "HEAD" else int(dict(headers)["Content-Length"])
        return Reply(status, headers, self._incoming.read(length))

    def rest(self) -> bytes:
        """Read until the server closes the connection; a reset ends it too."""
        received = b""
        try:
            while part := self._incoming.read1():
                received += part
        except ConnectionResetError:
            pass
        return received


def request(
    target: str, *, method: str = "GET", headers: Iterable[tuple[str, str]] = METADATA, body: bytes = b""
) -> bytes:
    """Return the bytes of a request; Host and nothing else is added to ``headers``."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{method} {target} HTTP/1.1\r\nHost: imds\r\n{lines}\r\n".encode("latin-1") + body


def fetch(
    server: ImdsServer,
    target: str,
    *,
    method: str = "GET",
    headers: Iterable[tuple[str, str]] = METADATA,
    body: bytes = b"",
) -> Reply:
    """Ask on a connection of its own; the body is everything that came until the server closed."""
    with Wire(server) as wire:
        wire.send(request(target, method=method, headers=headers, body=body))
        wire.ends_sending()
        status, received = wire.head()
        return Reply(status, received, wire.rest())


def error(name: str, newest_versions: Sequence[str] = ()) -> tuple[int, str, bytes]:
    """Return what a reply with the error ``name`` of ``errors.json`` tells."""
    row = data.read("errors")[name]
    newest = json.dumps(list(newest_versions), separators=(",", ":"))
    return row["status"], row["content_type"], row["body"].replace("{newest_versions}", newest).encode()


def api_versions() -> list[str]:
    """Return every api-version, oldest first."""
    return [row["version"] for row in data.read("api_versions")["versions"]]
