"""One client's connection: its requests, one after another, and their replies."""

from __future__ import annotations

import selectors
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from time import sleep
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote

from werkzeug.serving import DechunkedInput

from pytest_imds import data
from pytest_imds.bodies import Held, Scripted
from pytest_imds.clock import Clock
from pytest_imds.door import reset
from pytest_imds.faults.script import End, Script
from pytest_imds.head import Head, RefusedError, read_head
from pytest_imds.network.trap import leads_to

if TYPE_CHECKING:
    from pytest_imds.listener import Answer, Listener, Owner

# What is read and thrown away so that a refused client sees the refusal: a
# socket closed over unread bytes resets the connection.
DRAIN_BYTES = 4 * 1024 * 1024
DRAIN_S = 0.25
# How often a reply that is held back is looked at: a test may move the time on.
LOOK_AGAIN_S = 0.002


class ClientGoneError(Exception):
    """The client does not take the reply."""


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
        self.asked = ""
        self.at_once = 1  # of how many requests to managed identity the last one was one
        self.held: tuple[float, float] | None = None  # the second that the reply waits for, and since when
        self.silent = False
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

    @property
    def peer(self) -> tuple[str, int]:
        """The address of the client."""
        return self._address

    @property
    def busy(self) -> bool:
        """Whether the client has sent what is not answered yet, and not for want of time."""
        if self.held is not None or self.silent:
            return False
        return self.answering is not None or self._unread()

    @property
    def given_up(self) -> bool:
        """Whether the client has closed its side of the connection while its reply is held back."""
        with suppress(OSError):
            return self.held is not None and self._unread() and not self._client.recv(1, socket.MSG_PEEK)
        return True

    def _unread(self) -> bool:
        with suppress(OSError, ValueError), selectors.DefaultSelector() as selector:  # it may be closed already
            selector.register(self._client, selectors.EVENT_READ)
            return bool(selector.select(0))
        return False

    def _answer_next(self, owner: Owner, stream: BinaryIO) -> bool:
        try:
            head = read_head(stream)
            proxied = head is not None and head.authority
            answer = self._answering(owner, proxied) if proxied else owner.answer
        except RefusedError as refused:
            self._refuse(owner, str(refused))
            return False
        if head is None or not self._listener.arrives(self, head):
            return False
        try:
            return self._answer(owner, head, stream, answer)
        finally:
            self.asked = ""
            self._listener.ends(self)

    def _answering(self, owner: Owner, authority: str) -> Callable[[dict[str, Any]], Answer]:
        """Return what answers a request that was sent as to a proxy.

        Raises:
            RefusedError: it is for another server, and this one is no proxy.
        """
        if leads_to(authority, self._listener.server_port):
            return owner.answer
        if owner.trap is None or self._listener.lent:  # what has a network of its own has no other
            raise RefusedError("malformed")
        return partial(owner.trap.answer, proxy=owner)

    def _answer(self, owner: Owner, head: Head, stream: BinaryIO, answer: Callable[[dict[str, Any]], Answer]) -> bool:
        if head.headers.get("HTTP_EXPECT", "").lower() == "100-continue":
            self._put(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._begun = False
        try:
            body, status, headers = answer(self._environ(head, stream))
            while isinstance(body, Held):
                if not self._wait(body.clock, body.due, head):
                    return False
                body, status, headers = body.answer()
            self.asked = ""  # a client that has the reply may ask again before this thread goes on
            return self._send(head, body, status, headers)
        except ClientGoneError:
            raise
        except BaseException as problem:  # noqa: BLE001 - even pytest.fail() belongs to the test, not to this thread
            owner.report(problem, head.line)
            if not self._begun:
                self._put(failure())
            return False

    def _wait(self, clock: Clock, due: float, head: Head) -> bool:
        """Wait until a reply may go on; the end of the test does not wait for it."""
        self.held = (due, clock.time())
        self._listener.ends(self)
        try:
            while not clock.reached(due):
                if not self._listener.serves(self):
                    return False
                sleep(LOOK_AGAIN_S)
            return self._listener.begins(self, head.line)
        finally:
            self.held = None

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
            "imds.at_once": self.at_once,
            "imds.proxied": bool(head.authority),
            "imds.head_bytes": head.size,
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
        closed = "connection" in names and ("Connection", "close") in headers
        close = closed or head.wants_close or head.chunked or not (measured or chunked)
        if close and not closed and "connection" in names:
            headers = [header for header in headers if header[0].lower() != "connection"]
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        lines += "Transfer-Encoding: chunked\r\n" if chunked else ""
        lines += "Connection: close\r\n" if close and not closed else ""
        pending = f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1")
        try:
            if isinstance(body, Scripted):
                return self._play(head, body.script(pending, bodiless), body.clock) and not close
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

    def _play(self, head: Head, script: Script, clock: Clock) -> bool:
        """Send what the script says; return whether the connection goes on."""
        for piece in script.pieces:
            if piece.after_s and not self._wait(clock, clock.time() + piece.after_s, head):
                return False
            self._put(piece.sent)
        if script.end is End.RESET:
            with suppress(OSError):  # the client was quicker
                reset(self._client)
        elif script.end is not End.KEEP and script.end is not End.CLOSE:
            self._fall_silent(script.end)
        return script.end is End.KEEP

    def _fall_silent(self, end: End) -> None:
        """Keep the connection open until the client closes it or the test ends, which does not wait for it."""
        self.silent = True
        self._listener.ends(self)
        with suppress(OSError):  # the client has gone
            if end is End.HALF_CLOSE:
                self._client.shutdown(socket.SHUT_WR)
            self._client.settimeout(None)
            while self.owner is not None and self._client.recv(65536):
                pass

    def _put(self, sent: bytes) -> None:
        try:
            self._client.sendall(sent)
        except OSError:
            raise ClientGoneError from None
        self._begun = True

    def _refuse(self, owner: Owner, error: str) -> None:
        self._put(owner.refusal(error, self._address))
        self._client.shutdown(socket.SHUT_WR)
        self._client.settimeout(DRAIN_S)
        left = DRAIN_BYTES
        while left > 0:
            received = len(self._client.recv(65536))
            left = left - received if received else 0


def failure() -> bytes:
    """Return what a client sees where the code behind the server has failed: the test is told the rest."""
    body = b"the handler of this request has failed; pytest-imds reports it when the test ends"
    return b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nConnection: close\r\n" + (
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )


def idle_timeout_s() -> float:
    """Return how long a connection may be silent.

    Source: ``keep-alive`` in ``fixtures_data/behaviour.json``.
    """
    return float(data.read("behaviour")["keep-alive"]["idle_timeout_s"])
