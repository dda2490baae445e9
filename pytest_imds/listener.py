"""The listening socket: accepts connections, and lends them to the test that runs."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from queue import SimpleQueue
from socketserver import TCPServer
from typing import Any, Protocol

from werkzeug.serving import BaseWSGIServer

from pytest_imds import connection
from pytest_imds.connection import Connection
from pytest_imds.errors import ImdsPortError

ADDRESS = "127.0.0.1"

# How long the end of a test waits for replies that are still being made.
LAST_REPLIES_S = 1.0


class Owner(Protocol):
    """Who answers the requests: the server of the test that runs."""

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""

    def refusal(self, error: str) -> bytes:
        """Return the bytes that refuse what is no HTTP request."""

    def report(self, problem: Exception, request: str) -> None:
        """Take note of what went wrong while ``request`` was answered; the test fails."""


class Listener(BaseWSGIServer):
    """Listens on a port of the loopback interface, for one test after another.

    Every connection belongs to the owner that was attached when it was
    accepted, and is closed when that one is detached: what a test leaves open
    never reaches the next.
    """

    multithread = True
    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        self.idle_timeout_s = connection.idle_timeout_s()
        self._owner: Owner | None = None
        self._connections: set[Connection] = set()
        self._changed = threading.Condition()
        self._workers = Workers(self._serve)
        self._wake, self._woken = socket.socketpair()
        self.alive = True
        try:
            super().__init__(ADDRESS, port, _nobody, handler=Connection)
        except SystemExit:
            # Werkzeug ends the program where a port is taken.
            self._wake.close()
            self._woken.close()
            raise ImdsPortError.taken(port) from None
        threading.Thread(target=self.serve_forever, name="imds-listener", daemon=True).start()

    def server_bind(self) -> None:
        """Bind without asking DNS for the machine's name, as http.server would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Accept until :meth:`shutdown`; nothing is polled."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while all(key.fileobj is self.socket for key, _ in selector.select()):
                self._accept()
        self.server_close()
        self._woken.close()

    def _accept(self) -> None:
        try:
            accepted, address = self.socket.accept()
        except OSError:
            return  # the client has gone before it was its turn
        self._workers.submit((accepted, address))

    def _serve(self, job: tuple[socket.socket, Any]) -> None:
        accepted, address = job
        with suppress(OSError):  # the client has gone
            self.finish_request(accepted, address)
        self.shutdown_request(accepted)

    def shutdown(self) -> None:
        """Stop listening, close every connection, end the threads."""
        if not self.alive:
            return
        self.alive = False
        self.detach()
        self._wake.close()
        self._workers.stop()

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
                    _close(open_connection)
            deadline = time.monotonic() + LAST_REPLIES_S
            while self._connections and time.monotonic() < deadline:
                self._changed.wait(deadline - time.monotonic())
            unfinished = [str(left.answering) for left in self._connections if left.answering]
            for left in self._connections:
                _close(left)
        return unfinished

    def opened(self, opened: Connection) -> Owner | None:
        """Register a connection, and tell whose it is."""
        with self._changed:
            self._connections.add(opened)
            return self._owner

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

    def closed(self, closed: Connection) -> None:
        """Forget a connection."""
        with self._changed:
            self._connections.discard(closed)
            self._changed.notify_all()


def _close(open_connection: Connection) -> None:
    with suppress(OSError):  # it is closed already
        open_connection.connection.shutdown(socket.SHUT_RDWR)


def _nobody(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    raise AssertionError("connections have owners, never this application")


class Workers:
    """Threads for jobs: as many as there are jobs at once, kept for the next ones."""

    def __init__(self, run: Callable[[Any], None]) -> None:
        self._run = run
        self._jobs: SimpleQueue[Any] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._threads = 0

    def submit(self, job: Any) -> None:
        """Run ``job`` in a thread that has nothing else to do."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                self._threads += 1
                threading.Thread(target=self._work, name="imds-worker", daemon=True).start()
        self._jobs.put(job)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._run(job)
            with self._lock:
                self._idle += 1

    def stop(self) -> None:
        """Let every thread end when its job is done."""
        for _ in range(self._threads):
            self._jobs.put(None)
