"""The door of a listener: open, refusing every client, or leaving every SYN unanswered."""

from __future__ import annotations

import _socket
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from ctypes import addressof, create_string_buffer
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, Literal

from pytest_imds.errors import ImdsPortError, ImdsUsageError

Kind = Literal["refused", "unanswered"]

# How often a door that is shut asks whether it may open.
LOOK_AGAIN_S = 0.005
# How long the thread that accepts may take to leave the socket.
LEAVES_S = 1.0
# On the loopback interface a SYN is answered at once, or the backlog is full.
ANSWERED_S = 0.005
# More than the shortest backlog of any system has places.
MOST_FILLERS = 16
# Linux: a program of the packet filter that keeps nothing, and who takes it (linux/filter.h, asm-generic/socket.h).
DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27


class Door:
    """A socket that listens, and can be shut while its port stays reserved.

    The socket is in the hand of the thread that accepts. While the door is shut that thread rests, and whoever opens
    it or shuts it in the other way has the socket. What waits here does so in real time: none of it is among what
    virtual time replaces.

    To refuse, a socket is bound and does not listen. To leave SYNs unanswered it has the shortest backlog there is,
    full of connections of our own: Linux drops the SYN then, and so do the BSDs; Windows refuses it.

    Args:
        listening: the socket, which listens.
        backlog: how many clients may wait to be accepted while the door is open.
    """

    def __init__(self, listening: socket.socket, backlog: int) -> None:
        self.socket = listening
        self.turn = Lock()  # of who opens or shuts
        self.until: Callable[[], bool] | None = None  # None: open, or about to be
        self._address: tuple[str, int] = listening.getsockname()
        self._backlog = backlog
        self._hand = Lock()
        self._hand.acquire()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._fillers: list[_socket.socket] = []

    def shut(self, kind: Kind) -> None:
        """Shut the door, or shut it in the other way; whose turn it is has set ``until``.

        Raises:
            ImdsUsageError: the thread that accepts does not leave the socket; the door stays open.
            ImdsPortError: somebody has taken the port in the moment between two sockets; the door is no more.
        """
        try:
            self._take()
            try:
                self._reserve()
                if kind == "unanswered":
                    self._fill()
            finally:
                self._hand.release()
        except BaseException:
            self.until = None
            raise

    def open(self, since: Callable[[], bool] | None = None) -> None:
        """Open the door if it is shut; who connects from then on is served.

        Args:
            since: what the door was shut until; if that is something else by now, it stays shut.
        """
        with self.turn:
            if self.until is None or (since is not None and since is not self.until):
                return
            with self._hand:
                self._empty()
                self.socket.listen(self._backlog)
                self.until = None
        self._bell.put(None)

    def rest(self, failed: Callable[[BaseException], None]) -> None:
        """Leave the socket to others while the door is shut, and open it when it may be opened.

        Args:
            failed: takes what the door's condition has raised; the door is opened then.
        """
        while self.until is not None:
            self._hand.release()
            while (until := self.until) is not None:
                try:
                    over = until()
                except BaseException as problem:  # noqa: BLE001 - without this thread nobody accepts any more
                    failed(problem)
                    over = True
                if over:
                    self.open(until)
                else:
                    with suppress(Empty):
                        self._bell.get(timeout=LOOK_AGAIN_S)
            self._hand.acquire()

    def accept(self) -> tuple[socket.socket, Any]:
        """Wait for a client; return its socket and its address."""
        if not isinstance(self.socket, _socket.socket):  # gevent's, which has another way to wait
            return self.socket.accept()
        # accept() makes a socket of the class that is in the module now: pytest-socket's refuses to be made.
        descriptor, address = self.socket._accept()  # type: ignore[attr-defined]  # what accept() is built on
        return type(self.socket)(fileno=descriptor), address

    @contextmanager
    def knock(self) -> Iterator[None]:
        """Connect: nothing but a client wakes a thread that accepts, on every system."""
        with closing(_own_socket()) as knocking:
            knocking.setblocking(False)
            knocking.connect_ex(self._address)
            yield

    def _take(self) -> None:
        if self._hand.acquire(blocking=False):
            return
        with self.knock():
            if not self._hand.acquire(timeout=LEAVES_S):
                port = self._address[1]
                raise ImdsUsageError.wrong_moment(f"shutting the door of port {port}", "busy", "accepting connections")

    def _reserve(self) -> None:
        """Put a socket that does not listen in place of the one that does; who waits in its backlog is reset."""
        reserving = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name == "posix":  # on Windows it would let others take the port
            reserving.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A child process may have inherited the socket: on Linux this ends the listening there, too.
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.socket = reserving
        while self._fillers:
            self._fillers.pop().close()
        try:
            reserving.bind(self._address)
        except OSError:
            reserving.close()
            raise ImdsPortError.taken(self._address[1]) from None

    def _empty(self) -> None:
        """Give the places back that fillers take."""
        for filler in self._fillers:
            with suppress(OSError):  # they come first
                reset(self.accept()[0])
            filler.close()
        self._fillers.clear()
        self.socket.settimeout(None)

    def _fill(self) -> None:
        """Take every place in the shortest backlog there is."""
        self.socket.listen(0)
        self.socket.settimeout(ANSWERED_S)
        for _ in range(MOST_FILLERS):
            filler = _own_socket()
            filler.settimeout(ANSWERED_S)
            try:
                filler.connect(self._address)
            except OSError:
                filler.close()
                if self._fillers:
                    return
                with suppress(OSError):  # a client was quicker
                    reset(self.accept()[0])
            else:
                self._fillers.append(filler)


class LentDoor(Door):
    """The same for a socket of another network, where no socket of this process's own can be made; on Linux alone.

    There a socket that stopped to listen keeps its port, and may listen again; and one can drop what arrives.
    """

    @contextmanager
    def knock(self) -> Iterator[None]:
        """End the listening, which wakes the thread that accepts."""
        # What is shut down once more, when it does not listen, hands that on to connections to come.
        if self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            self.socket.shutdown(socket.SHUT_RDWR)
        yield

    def _reserve(self) -> None:
        self._empty()
        with self.knock():
            pass

    def _empty(self) -> None:
        with suppress(OSError):  # it drops nothing
            self.socket.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)

    def _fill(self) -> None:
        instruction = create_string_buffer(DROP_ALL, len(DROP_ALL))
        program = struct.pack("HP", 1, addressof(instruction))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        self.socket.listen(self._backlog)


def reset(client: socket.socket) -> None:
    """Close a connection with an RST: one that does not linger has no FIN."""
    with client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _own_socket() -> _socket.socket:
    """Return a socket whose connections nobody counts who replaces :meth:`socket.socket.connect`."""
    return _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
