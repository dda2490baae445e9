"""A request that has arrived, and what was sent for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pytest_imds.service.message import Request

# How much of a body is kept of each request and each reply.
KEPT_BODY = 16 * 1024


@dataclass(frozen=True)
class Exchange:
    """A request to a server, and the reply that left.

    Attributes:
        number: its place among the requests to the server, from 1.
        time: when it arrived, in UTC, on the test's clock.
        at_s: the same in seconds since the test began.
        peer: address and port of the client.
        target: path and query as they came; empty for what is no HTTP request.
        asked: the request as it arrived; a fault may have let the service see another.
        proxied: whether it was sent as clients send to a proxy, with the whole URL in its first line.
        status: that of the reply; None if none has left.
        reply_headers: those of the reply, with names in lower case.
        reply: the body of the reply, no more than its first 16 KiB.
        bytes_sent: how long that body is.
        duration_s: how many seconds of the test's clock after its arrival the reply left; None if none has.
        faults: the names of the faults that hit it, such as ``gone``.
    """

    number: int
    time: datetime
    at_s: float
    peer: tuple[str, int]
    target: str
    asked: Request
    proxied: bool = False
    status: int | None = None
    reply_headers: Mapping[str, str] = field(default_factory=dict)
    reply: bytes = b""
    bytes_sent: int = 0
    duration_s: float | None = None
    faults: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """The verb; empty for what is no HTTP request."""
        return self.asked.method

    @property
    def path(self) -> str:
        """The path, percent-decoded, as the client wrote it."""
        return self.asked.path

    @property
    def query(self) -> Mapping[str, str]:
        """The query; of a parameter that is repeated the last value."""
        return self.asked.parameters

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the request, with names in lower case."""
        return self.asked.headers

    @property
    def body(self) -> bytes:
        """The body of the request, no more than its first 16 KiB."""
        return self.asked.body

    @property
    def line(self) -> str:
        """Verb and target, such as ``GET /metadata/instance?api-version=2021-02-01``."""
        return f"{self.method} {self.target}" if self.method else "no HTTP request"
