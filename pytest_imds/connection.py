"""One client's connection: its requests, one after another, and their replies."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler

from pytest_imds import data
from pytest_imds.head import Head, RefusedError, read_head

if TYPE_CHECKING:
    from pytest_imds.listener import Listener, Owner

# What is read and thrown away so that a refused client sees the refusal: a
# socket closed over unread bytes resets the connection.
DRAIN_BYTES = 4 * 1024 * 1024
DRAIN_S = 0.25


class Connection(WSGIRequestHandler):
    """Answers every request of a connection.

    Werkzeug's own handler closes the connection after each reply, and sends
    the head and the body apart; on a connection that stays open the second send
    would wait 40 ms for the client's delayed acknowledgement.
    """

    server: Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: Owner | None
    answering: str | None = None

    def setup(self) -> None:
        """Belong to the test that is running now."""
        super().setup()
        self.connection.settimeout(self.server.idle_timeout_s)
        self.owner = self.server.opened(self)

    def finish(self) -> None:
        """Let the listener forget this connection."""
        super().finish()
        self.server.closed(self)

    def handle(self) -> None:
        """Answer until one side closes, or the test that owns the connection ends."""
        try:
            while self.owner is not None and self._answer_next(self.owner):
                pass
        except (ConnectionError, TimeoutError):
            return  # the client has gone, or does not read; its test sees that for itself

    def _answer_next(self, owner: Owner) -> bool:
        try:
            head = read_head(self.rfile)  # type: ignore[arg-type]
        except RefusedError as refused:
            self._refuse(owner, str(refused))
            return False
        if head is None or not self.server.begins(self, f"{head.method} {head.target}"):
            return False
        try:
            return self._answer(owner, head)
        finally:
            self.server.ends(self)

    def _answer(self, owner: Owner, head: Head) -> bool:
        self.command, self.path, self.request_version = head.method, head.target, head.version
        self.headers = head.headers  # type: ignore[assignment]
        if head.headers.get("Expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            self.environ = self.make_environ()
            started: list[Any] = []
            body = owner.wsgi(self.environ, lambda *start: started.extend(start))
            return self._send(head, started[0], started[1], body)
        except (ConnectionError, TimeoutError):
            raise
        except Exception as problem:  # noqa: BLE001 - whatever it is, it belongs to the test, not to this thread
            owner.report(problem, f"{head.method} {head.target}")
            self.connection.sendall(_failure())
            return False

    def _send(self, head: Head, status: str, headers: Iterable[tuple[str, str]], body: Iterable[bytes]) -> bool:
        pairs = list(headers)
        names = {name.lower() for name, _ in pairs}
        code = int(status.split(" ", 1)[0])
        bare = head.method == "HEAD" or code in (204, 304)
        chunked = "content-length" not in names and not bare and head.version != "HTTP/1.0"
        unbounded = "content-length" not in names and not bare and not chunked
        close = head.wants_close or unbounded or "Transfer-Encoding" in head.headers
        if chunked:
            pairs.append(("Transfer-Encoding", "chunked"))
        if close:
            pairs.append(("Connection", "close"))
        lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
        pending = f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1")
        try:
            for part in body:
                if part and not bare:
                    # The head goes out with the first part: one send for a reply in one part.
                    self.connection.sendall(pending + (b"%x\r\n%b\r\n" % (len(part), part) if chunked else part))
                    pending = b""
            self.connection.sendall(pending + (b"0\r\n\r\n" if chunked else b""))
        finally:
            if hasattr(body, "close"):
                body.close()
        return not close

    def _refuse(self, owner: Owner, error: str) -> None:
        self.connection.sendall(owner.refusal(error))
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(DRAIN_S)
        left = DRAIN_BYTES
        while left > 0:
            received = len(self.connection.recv(65536))
            left = left - received if received else 0


def _failure() -> bytes:
    """What a client sees where the code behind the server has failed: the test is told the rest."""
    body = b"the handler of this request has failed; pytest-imds reports it when the test ends"
    return b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nConnection: close\r\n" + (
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )


def idle_timeout_s() -> float:
    """Return how long a connection may be silent.

    Source: ``keep-alive`` in ``fixtures_data/behaviour.json``.
    """
    return float(data.read("behaviour")["keep-alive"]["idle_timeout_s"])
