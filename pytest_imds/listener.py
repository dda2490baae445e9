"""The listening socket: accepts connections, and lends them to the test that runs."""

from __future__ import annotations

import _socket
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from functools import lru_cache
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Protocol
from urllib.parse import unquote

from werkzeug.serving import BaseWSGIServer

from pytest_imds import data
from pytest_imds.connection import Connection, idle_timeout_s
from pytest_imds.door import Door, Kind, LentDoor, reset
from pytest_imds.errors import ImdsPortError
from pytest_imds.head import Head
from pytest_imds.network.trap import Trap

ADDRESS = "127.0.0.1"

# How long the end of a test waits for replies that are still being made.
LAST_REPLIES_S = 1.0


# Body, status line and headers.
Answer = tuple[Iterable[bytes], str, list[tuple[str, str]]]


class Owner(Protocol):
    """Who answers the requests: the server of the test that runs."""

    @property
    def trap(self) -> Trap | None:
        """What passes on the requests that are for others; None where nothing does."""

    def answer(self, environ: dict[str, Any]) -> Answer:
        """Answer a request."""

    def refusal(self, error: str, peer: tuple[str, int]) -> bytes:
        """Return the bytes that refuse what ``peer`` has sent, which is no HTTP request."""

    def report(self, problem: BaseException, request: str) -> None:
        """Take note of what went wrong while ``request`` was answered; the test fails."""


class Listener(BaseWSGIServer):
    """Listens on a port of the loopback interface, for one test after another.

    Every connection belongs to the owner that was attached when it was
    accepted, and is closed when that one is detached: what a test leaves open
    never reaches the next. The next finds the door open, too.

    Args:
        port: the port; 0 is a free one.
        lent: a socket that listens in another network, in the place of one of this network.
    """

    def __init__(self, port: int = 0, lent: _socket.socket | None = None) -> None:
        self.idle_timeout_s = idle_timeout_s()
        self._owner: Owner | None = None
        self._connections: set[Connection] = set()
        self._changed = threading.Condition(threading.RLock())
        self._lead = threading.Lock()
        self._closed: SimpleQueue[None] = SimpleQueue()
        self._idle = 0
        self.alive = True
        self.lent = lent is not None
        with _listening(port) if lent is None else nullcontext(lent) as bound:
            # Werkzeug would end the program where a port is taken, and ask DNS for the name of the machine.
            host, port = bound.getsockname()
            super().__init__(host, port, _nobody, fd=bound.fileno())
        self.server_name, self.server_port = host, port
        self._door = (Door if lent is None else LentDoor)(self.socket, self.request_queue_size)
        self._kind: Kind | None = None
        self._add_thread()

    def _add_thread(self) -> None:
        self._idle += 1
        threading.Thread(target=self._serve_in_turn, name="imds-server", daemon=True).start()

    def _serve_in_turn(self) -> None:
        """Lead, then serve, for as long as the listener is alive.

        One thread at a time leads: it waits for a client, passes the lead on and
        serves that client itself. So a connection costs no hand-over from one
        thread to another, and there are as many threads as there are connections
        at once, and one to lead.
        """
        while True:
            with self._lead:
                connection = self._next()
            if connection is None:
                return
            connection.serve()
            with self._changed:
                self._connections.discard(connection)
                self._idle += 1
                self._changed.notify_all()

    def _next(self) -> Connection | None:
        """Wait for a client; return its connection, or None when the listener is alive no more."""
        while self.alive:
            if self._door.until is not None:
                self._door.rest(self._failed)
            with suppress(OSError):  # the client has gone before it was its turn
                client, address = self._door.accept()
                with self._changed:
                    if self._door.until is None and self.alive:
                        connection = Connection(client, address, self, self._owner)
                        self._connections.add(connection)
                        self._idle -= 1
                        if self._idle == 0:
                            self._add_thread()
                        return connection
                reset(client)
        self.server_close()
        self._closed.put(None)
        return None

    def _failed(self, problem: BaseException) -> None:
        if (owner := self._owner) is not None:
            owner.report(problem, "clients before a door that is shut")

    def shut(self, kind: Kind, until: Callable[[], bool]) -> None:
        """Let no client in.

        Connections that are idle are closed, and the others when their replies have gone out.

        Args:
            kind: ``refused`` for a client that is told so, ``unanswered`` for one that hears nothing.
            until: whether the door may open; asked every few milliseconds, by a thread of the listener.

        Raises:
            ImdsUsageError: the thread that accepts does not leave the socket; the door stays open.
            ImdsPortError: somebody has taken the port; the listener is alive no more.
        """
        with self._door.turn:
            with self._changed:
                if self._owner is None:  # a thread that serves has outlived its test
                    return
                self._door.until, self._kind = until, kind
                for open_connection in self._connections:
                    if _idles(open_connection):
                        open_connection.close()
            try:
                self._door.shut(kind)
            except OSError:
                self.alive = False
                raise
            self.socket = self._door.socket

    @property
    def shut_as(self) -> Kind | None:
        """How the door is shut; None if it is open."""
        return None if self._door.until is None else self._kind

    def open(self) -> None:
        """Let clients in again, from this moment on."""
        self._door.open()

    def shutdown(self) -> list[str]:  # type: ignore[override]  # socketserver's returns nothing
        """Stop listening, close every connection, end the threads.

        Returns:
            The requests that were still being answered when the time for that was up.
        """
        if not self.alive:
            return []
        self.alive = False
        unanswered = self.detach()
        with suppress(OSError, Empty), self._door.knock():
            self._closed.get(timeout=LAST_REPLIES_S)
        return unanswered

    @property
    def attached(self) -> bool:
        """Whether the connections go to an owner."""
        return self._owner is not None

    def attach(self, owner: Owner) -> None:
        """Give the connections that come from now on to ``owner``."""
        with self._changed:
            self._owner = owner

    def detach(self) -> list[str]:
        """Take the connections back and close them.

        Returns:
            The requests that were still being answered when the time for that was up.
        """
        with self._changed:
            self._owner = None
        self.open()
        with self._changed:
            for open_connection in self._connections:
                if open_connection.answering is None:
                    open_connection.close()
            deadline = monotonic() + LAST_REPLIES_S
            while self._connections and monotonic() < deadline:
                self._changed.wait(deadline - monotonic())
            unfinished = [str(left.answering) for left in self._connections if left.answering]
            for left in self._connections:
                left.close()
        return unfinished

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Those that are open."""
        with self._changed:
            return tuple(self._connections)

    def serves(self, busy: Connection) -> bool:
        """Return whether the test that a connection belongs to is still on."""
        return busy.owner is not None and self._owner is busy.owner

    def arrives(self, asking: Connection, head: Head) -> bool:
        """Note that a request has arrived, and that it is being answered, unless its test is over."""
        with self._changed:
            if not self._goes_on(asking):
                return False
            asking.answering, asking.asked = head.line, head.target
            if _is_for_identity(head.target):
                most = data.read("behaviour")["rate-limits"]["identity_at_once"]
                others = [one for one in self._connections if one is not asking and _is_for_identity(one.asked)]
                asking.at_once = 1 + sum(one.at_once <= most and not one.silent for one in others)
            return True

    def begins(self, busy: Connection, request: str) -> bool:
        """Note that ``request`` is being answered again, unless its test is over."""
        with self._changed:
            if not self._goes_on(busy):
                return False
            busy.answering = request
            return True

    def _goes_on(self, busy: Connection) -> bool:
        return self._owner is busy.owner and (self._door.until is None or not _idles(busy))

    def ends(self, busy: Connection) -> None:
        """Note that the reply has gone out."""
        with self._changed:
            busy.answering = None
            if self._owner is not busy.owner or (self._door.until is not None and _idles(busy)):
                busy.owner = None


def _idles(connection: Connection) -> bool:
    """Return whether a connection waits for its next request, and not for the time to answer."""
    return connection.answering is None and connection.held is None and not connection.silent


@lru_cache(maxsize=256)  # a client asks for the same again and again
def _is_for_identity(target: str) -> bool:
    top, second, *_ = (*(part for part in unquote(target.partition("?")[0]).split("/") if part), "", "")
    return (top.lower(), second) == ("metadata", "identity")


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((ADDRESS, port), backlog=BaseWSGIServer.request_queue_size)
    except OSError:
        raise ImdsPortError.taken(port) from None


def _nobody(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    raise AssertionError("connections have owners, never this application")
