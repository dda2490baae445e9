"""The listening socket: accepts connections, and lends them to the test that runs."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

from werkzeug.serving import BaseWSGIServer

from pytest_imds.connection import Connection, idle_timeout_s
from pytest_imds.errors import ImdsPortError

ADDRESS = "127.0.0.1"

# How long the end of a test waits for replies that are still being made.
LAST_REPLIES_S = 1.0


# Body, status line and headers.
Answer = tuple[Iterable[bytes], str, list[tuple[str, str]]]


class Owner(Protocol):
    """Who answers the requests: the server of the test that runs."""

    def answer(self, environ: dict[str, Any]) -> Answer:
        """Answer a request."""

    def refusal(self, error: str) -> bytes:
        """Return the bytes that refuse what is no HTTP request."""

    def report(self, problem: BaseException, request: str) -> None:
        """Take note of what went wrong while ``request`` was answered; the test fails."""


class Listener(BaseWSGIServer):
    """Listens on a port of the loopback interface, for one test after another.

    Every connection belongs to the owner that was attached when it was
    accepted, and is closed when that one is detached: what a test leaves open
    never reaches the next.
    """

    def __init__(self, port: int = 0) -> None:
        self.idle_timeout_s = idle_timeout_s()
        self._owner: Owner | None = None
        self._connections: set[Connection] = set()
        self._changed = threading.Condition()
        self._lead = threading.Lock()
        self._closed = threading.Event()
        self._idle = 0
        self.alive = True
        # Werkzeug would end the program where a port is taken, and ask DNS for the name of the machine.
        try:
            bound = socket.create_server((ADDRESS, port), backlog=self.request_queue_size)
        except OSError:
            raise ImdsPortError.taken(port) from None
        with bound:
            super().__init__(ADDRESS, port, _nobody, fd=bound.fileno())
        self.server_name, self.server_port = ADDRESS, self.port
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
                accepted = self._accept()
                if accepted is None:
                    return
                with self._changed:
                    connection = Connection(*accepted, self, self._owner)
                    self._connections.add(connection)
                    self._idle -= 1
                    if self._idle == 0:
                        self._add_thread()
            connection.serve()
            with self._changed:
                self._connections.discard(connection)
                self._idle += 1
                self._changed.notify_all()

    def _accept(self) -> tuple[socket.socket, Any] | None:
        while self.alive:
            with suppress(OSError):  # the client has gone before it was its turn
                accepted: tuple[socket.socket, Any] = self.socket.accept()
                if self.alive:
                    return accepted
                accepted[0].close()
        self.server_close()
        self._closed.set()
        return None

    def shutdown(self) -> list[str]:  # type: ignore[override]  # socketserver's returns nothing
        """Stop listening, close every connection, end the threads.

        Returns:
            The requests that were still being answered when the time for that was up.
        """
        if not self.alive:
            return []
        self.alive = False
        unanswered = self.detach()
        # The thread that leads waits in accept(), which nothing but a client ends everywhere.
        with suppress(OSError), socket.create_connection((ADDRESS, self.port), LAST_REPLIES_S):
            self._closed.wait(LAST_REPLIES_S)
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
            for open_connection in self._connections:
                if open_connection.answering is None:
                    open_connection.close()
            deadline = time.monotonic() + LAST_REPLIES_S
            while self._connections and time.monotonic() < deadline:
                self._changed.wait(deadline - time.monotonic())
            unfinished = [str(left.answering) for left in self._connections if left.answering]
            for left in self._connections:
                left.close()
        return unfinished

    def serves(self, busy: Connection) -> bool:
        """Return whether the test that a connection belongs to is still on."""
        return busy.owner is not None and self._owner is busy.owner

    def begins(self, busy: Connection, request: str) -> bool:
        """Note that ``request`` is being answered, unless its test is over."""
        with self._changed:
            if self._owner is not busy.owner:
                return False
            busy.answering = request
            return True

    def ends(self, busy: Connection) -> None:
        """Note that the reply has gone out."""
        with self._changed:
            busy.answering = None
            if self._owner is not busy.owner:
                busy.owner = None


def _nobody(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    raise AssertionError("connections have owners, never this application")
