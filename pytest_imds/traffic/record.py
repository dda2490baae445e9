"""The record of what has arrived at a server; of a client in a loop it keeps the end, and says how much is missing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timezone
from threading import Lock
from typing import Any

from werkzeug import Response

from pytest_imds import wsgi
from pytest_imds.clock import Clock
from pytest_imds.service import message
from pytest_imds.traffic.exchange import KEPT_BODY, Exchange
from pytest_imds.traffic.overhearing import Headers

# How many requests are kept, and how many bytes of heads and bodies that are not small.
KEPT = 2000
KEPT_BYTES = 32 * 1024 * 1024
SMALL = 2048


class Entry:
    """A request, and what becomes of it: the notes that an ``Exchange`` is made of when somebody asks for it.

    Every request makes one, so it takes note and works nothing out.

    Attributes:
        number: its place among the requests.
        environ: the request as WSGI has it; for what is no HTTP request, the address of the client alone.
        response: the reply, if no handler has failed.
        faults: the names of what has hit it.
        size: how many bytes of heads and bodies it keeps, small ones aside.
    """

    response: Response | None = None
    faults: tuple[str, ...] = ()
    size = 0
    _ended: float | None = None
    _status: int | None = None
    _headers: Headers = []  # noqa: RUF012 - it is replaced, never changed
    _sent = 0

    def __init__(self, record: Record, number: int, environ: dict[str, Any]) -> None:
        self._record = record
        self._arrived = record.clock.time()
        self._reply: list[bytes] = []
        self.number = number
        self.environ = environ

    def hit(self, faults: tuple[str, ...]) -> None:
        """Note what has hit it."""
        self.faults = faults

    def begins(self, status: int | None, headers: Headers, later_s: float = 0.0) -> None:
        """Note that a reply leaves."""
        self._status, self._headers = status, headers
        self._ended = None if status is None else self._record.clock.time() + later_s

    def sends(self, part: bytes) -> None:
        """Note what of its body leaves."""
        if self._sent < KEPT_BODY:
            self._reply.append(part)
            self._record.keeps(self, len(part))
        self._sent += len(part)

    def ends(self) -> None:
        """Tell whoever wants to be told."""
        if self._record.tell is not None:
            self._record.tell(self.exchange())

    def exchange(self) -> Exchange:
        """Return what is known by now."""
        clock, environ = self._record.clock, self.environ
        is_http = "REQUEST_METHOD" in environ
        return Exchange(
            number=self.number,
            time=datetime.fromtimestamp(self._arrived, timezone.utc),
            at_s=self._arrived - clock.began,
            peer=(environ["REMOTE_ADDR"], environ["REMOTE_PORT"]),
            # A byte that is no ASCII might do something to a terminal.
            target=environ.get("RAW_URI", "").encode("latin-1").decode("ascii", "backslashreplace"),
            asked=wsgi.seen(environ, KEPT_BODY) if is_http else message.Request("", ""),
            proxied=environ.get("imds.proxied", False),
            status=self._status,
            reply_headers={name.lower(): value for name, value in self._headers},
            reply=b"".join(self._reply)[:KEPT_BODY],
            bytes_sent=self._sent,
            duration_s=None if self._ended is None else self._ended - self._arrived,
            faults=self.faults,
        )


class Record:
    """What has arrived, in order.

    Args:
        clock: the test's.

    Attributes:
        dropped: how many requests it keeps no more.
        tell: is told of each request when its reply leaves; None is nobody.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.dropped = 0
        self.tell: Callable[[Exchange], None] | None = None
        self._entries: deque[Entry] = deque()
        self._size = 0
        self._lock = Lock()

    def arrived(self, environ: dict[str, Any]) -> Entry:
        """Note that a request has arrived."""
        with self._lock:
            entry = Entry(self, self.dropped + len(self._entries) + 1, environ)
            self._entries.append(entry)
            if len(self._entries) > KEPT:
                self._drop()
        self.keeps(entry, environ.get("imds.head_bytes", 0))
        return entry

    def keeps(self, entry: Entry, size: int) -> None:
        """Note how much of an entry is kept: a head, or a body; what is small is not worth the work."""
        if size < SMALL:
            return
        with self._lock:
            if self._entries and entry.number >= self._entries[0].number:
                entry.size += size
                self._size += size
                while self._size > KEPT_BYTES and len(self._entries) > 1:
                    self._drop()

    def entries(self) -> list[Entry]:
        """Return what is kept."""
        with self._lock:
            return list(self._entries)

    def exchanges(self) -> tuple[Exchange, ...]:
        """Return what is kept, and what is known of it by now."""
        return tuple(entry.exchange() for entry in self.entries())

    def clear(self) -> None:
        """Forget all, and count from 1 again."""
        with self._lock:
            self._entries.clear()
            self._size = self.dropped = 0

    def _drop(self) -> None:
        self._size -= self._entries.popleft().size
        self.dropped += 1
