"""One client's connection: its requests, one after another, and their replies."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from time import sleep
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote

from werkzeug.serving import DechunkedInput

from pytest_imds import data
from pytest_imds.head import Head, RefusedError, read_head

if TYPE_CHECKING:
    from pytest_imds.listener import Answer, Listener, Owner

# What is read and thrown away so that a refused client sees the refusal: a
# socket closed over unread bytes resets the connection.
DRAIN_BYTES = 4 * 1024 * 1024
DRAIN_S = 0.25
# How often a reply that is held back is looked at: a test may move the time on.
LOOK_AGAIN_S = 0.005


class ClientGoneError(Exception):
    """The client does not take the reply."""


class SilentError(Exception):
    """A body raises it where nothing more is to come: the client waits for as long as it likes."""


class Held:
    """A body that is not there before its time.

    Args:
        ready: whether it is time.
        answer: makes the answer, when it is.
    """

    def __init__(self, ready: Callable[[], bool], answer: Callable[[], Answer]) -> None:
        self.ready = ready
        self.answer = answer

    def __iter__(self) -> Iterator[bytes]:
        """Give nothing yet."""
        return iter(())


class Connection:
    """Answers every request of a connection.

    Werkzeug's own handler closes the connection after each reply, and sends
    the head and the body apart; on a connection that stays open the second send
    would wait 40 ms for the client's delayed acknowledgement.
    """

    def __init__(
        self, client: socket.socket, address: tuple[str, int], listener: Listener, owner: Owner | None
    ) -> None:
        self.answering: str | None = None
        self.owner = owner
        self._client = client
        self._address = address
        self._listener = listener
        self._begun = False

    def serve(self) -> None:
        """Answer until one side closes, or the test that owns the connection ends."""
        client = self._client
        with suppress(OSError, ClientGoneError), client:  # that the client has gone, its test sees for itself
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.settimeout(self._listener.idle_timeout_s)
            with client.makefile("rb") as stream:
                while self.owner is not None and self._answer_next(self.owner, stream):
                    pass

    def close(self) -> None:
        """Close the connection from another thread."""
        with suppress(OSError):  # it is closed already
            self._client.shutdown(socket.SHUT_RDWR)

    def _answer_next(self, owner: Owner, stream: BinaryIO) -> bool:
        try:
            head = read_head(stream)
        except RefusedError as refused:
            self._refuse(owner, str(refused))
            return False
        if head is None or not self._listener.begins(self, f"{head.method} {head.target}"):
            return False
        try:
            return self._answer(owner, head, stream)
        finally:
            self._listener.ends(self)

    def _answer(self, owner: Owner, head: Head, stream: BinaryIO) -> bool:
        if head.headers.get("HTTP_EXPECT", "").lower() == "100-continue":
            self._put(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._begun = False
        try:
            body, status, headers = owner.answer(self._environ(head, stream))
            while isinstance(body, Held):
                if not self._wait(body, f"{head.method} {head.target}"):
                    return False
                body, status, headers = body.answer()
            return self._send(head, body, status, headers)
        except ClientGoneError:
            raise
        except SilentError:
            self._listener.ends(self)  # the end of the test does not wait for it
            if self.owner is not None:
                self._client.recv(1)
            return False
        except BaseException as problem:  # noqa: BLE001 - even pytest.fail() belongs to the test, not to this thread
            owner.report(problem, f"{head.method} {head.target}")
            if not self._begun:
                self._put(_failure())
            return False

    def _wait(self, held: Held, request: str) -> bool:
        """Wait until a reply may be sent; the end of the test does not wait for it."""
        self._listener.ends(self)
        while not held.ready():
            if not self._listener.serves(self):
                return False
            sleep(LOOK_AGAIN_S)
        return self._listener.begins(self, request)

    def _environ(self, head: Head, stream: BinaryIO) -> dict[str, Any]:
        """Return the request as PEP 3333 has it."""
        path, _, query = head.target.partition("?")
        environ: dict[str, Any] = {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": stream,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "REQUEST_METHOD": head.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "REQUEST_URI": head.target,
            "RAW_URI": head.target,
            "REMOTE_ADDR": self._address[0],
            "REMOTE_PORT": self._address[1],
            "SERVER_NAME": self._listener.server_name,
            "SERVER_PORT": str(self._listener.server_port),
            "SERVER_PROTOCOL": head.version,
            **head.headers,
        }
        if head.chunked:
            environ["wsgi.input_terminated"] = True
            environ["wsgi.input"] = DechunkedInput(stream)
        return environ

    def _send(self, head: Head, body: Iterable[bytes], status: str, headers: list[tuple[str, str]]) -> bool:
        names = {name.lower() for name, _ in headers}
        bodiless = head.method == "HEAD" or status[:3] in ("204", "304")
        measured = bodiless or "content-length" in names
        chunked = not measured and head.version != "HTTP/1.0"
        # A body that came in chunks may have left its trailer unread.
        close = head.wants_close or head.chunked or not (measured or chunked)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        lines += "Transfer-Encoding: chunked\r\n" if chunked else ""
        lines += "Connection: close\r\n" if close else ""
        pending = f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1")
        try:
            for part in body:
                if part and not bodiless:
                    # The head goes out with the first part: one send for a reply in one part.
                    self._put(pending + (b"%x\r\n%b\r\n" % (len(part), part) if chunked else part))
                    pending = b""
            if rest := pending + (b"0\r\n\r\n" if chunked else b""):
                self._put(rest)
        finally:
            if hasattr(body, "close"):
                body.close()
        return not close

    def _put(self, sent: bytes) -> None:
        try:
            self._client.sendall(sent)
        except OSError:
            raise ClientGoneError from None
        self._begun = True

    def _refuse(self, owner: Owner, error: str) -> None:
        self._put(owner.refusal(error))
        self._client.shutdown(socket.SHUT_WR)
        self._client.settimeout(DRAIN_S)
        left = DRAIN_BYTES
        while left > 0:
            received = len(self._client.recv(65536))
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
