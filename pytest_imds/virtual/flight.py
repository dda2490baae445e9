"""Which connections wait for what only real time brings: I/O in flight."""

from __future__ import annotations

# The classes of the module socket may be somebody's guard.
import _socket
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from enum import Enum, auto
from struct import unpack_from
from types import FrameType
from typing import NamedTuple

from pytest_imds.virtual.bindings import module_of
from pytest_imds.virtual.traffic import Address, Standing

# Where ``struct tcp_info`` of Linux has the state, the ages of what was last sent and received, and how much came.
SENT_MS, RECEIVED_MS, RECEIVED_BYTES, MEASURED = 44, 52, 128, 136
CLOSED = 7
# How long after the last byte another one may come: a reply need not come in one piece.
FRESH_MS = 50
# The ages have a grain of some milliseconds. How long an answer may be due where question and answer are of one age:
# the question may have been the later one.
TIED_MS = 1000


class Kind(Enum):
    """What is waited for."""

    LISTENING = auto()
    CONNECTING = auto()
    CONNECTED = auto()
    CLOSED = auto()
    OTHER = auto()


class Seen(NamedTuple):
    """A socket, or a pipe or file, that somebody waits for.

    ``timeout`` is how long a blocked thread waits for it; that of an event loop is its timers' business. ``expects``
    says whether an answer of another program is due, or must be taken to be.
    """

    kind: Kind
    looped: bool
    local: Address = ("", 0)
    peer: Address = ("", 0)
    timeout: float | None = None
    expects: bool = True


def seen(waited_for: _socket.socket | int, *, looped: bool, writes: bool = False) -> Seen:
    """Return what can be seen of a socket, or of a file descriptor."""
    if not isinstance(waited_for, int):
        return _seen(waited_for, looped, writes)
    try:
        opened = _socket.socket(fileno=waited_for)
    except OSError:  # a pipe or a file
        return Seen(Kind.OTHER, looped)
    try:
        return _seen(opened, looped, writes)
    finally:
        opened.detach()


def seen_at(frame: FrameType) -> Iterator[Seen]:
    """Return what can be seen of the sockets that a thread has at hand: it may be blocked on one."""
    for name, value in frame.f_locals.copy().items():
        if _is_socket(value):
            yield seen(value, looped=False)
        if name == "self":
            with suppress(AttributeError):
                for own in filter(_is_socket, list(object.__getattribute__(value, "__dict__").values())):
                    yield seen(own, looped=False)
    if module_of(frame) == "selectors":
        with suppress(AttributeError, KeyError):
            for key in list(frame.f_locals["self"].get_map().values()):
                # How long it waits for them is a number somewhere.
                yield seen(key.fd, looped=False)._replace(timeout=0.0)


def _is_socket(value: object) -> bool:
    return issubclass(type(value), _socket.socket)  # isinstance() would believe a proxy, and ask it


def _seen(sock: _socket.socket, looped: bool, writes: bool) -> Seen:
    if sock.fileno() < 0:
        return Seen(Kind.CLOSED, looped)
    try:
        local = _address(sock.getsockname())
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return Seen(Kind.LISTENING, looped, local)
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM:
            return Seen(Kind.OTHER, looped)
        info = _tcp_info(sock)
        if info[:1] == bytes([CLOSED]):
            return Seen(Kind.CLOSED, looped)
        peer = _address(sock.getpeername())
    except OSError:
        return Seen(Kind.CONNECTING, looped)
    return Seen(Kind.CONNECTED, looped, local, peer, sock.gettimeout(), writes or _expects(info, looped))


def _address(name: object) -> Address:
    host, port = name[:2] if isinstance(name, tuple) else ("", 0)
    return str(host).removeprefix("::ffff:"), int(port)


def _tcp_info(sock: _socket.socket) -> bytes:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, MEASURED) if hasattr(socket, "TCP_INFO") else b""


def _expects(info: bytes, looped: bool) -> bool:
    if len(info) < MEASURED:  # another system than Linux tells nothing
        return True
    sent_ms, received_ms = unpack_from("=I", info, SENT_MS)[0], unpack_from("=I", info, RECEIVED_MS)[0]
    if sent_ms == received_ms:
        # A thread that is blocked on a connection expects something of it; a loop watches those that are idle too.
        return not looped or sent_ms < TIED_MS or not _received(info)
    return sent_ms < received_ms or received_ms < FRESH_MS or not _received(info)


def _received(info: bytes) -> int:
    return int(unpack_from("=Q", info, RECEIVED_BYTES)[0])


def held_until(
    ports: Collection[int], standings: Mapping[Address, Standing], waits: Iterable[Seen]
) -> list[float] | None:
    """Return when replies that are held back are due; None if real I/O is in flight.

    Args:
        ports: where the servers of the test listen.
        standings: how the connections to them stand.
        waits: what is waited for.
    """
    waits = list(waits)
    # Both ends of a connection of the process are looked at, each by itself: neither is real.
    listening = {one.local[1] for one in waits if one.kind is Kind.LISTENING}
    ends = {one.local for one in waits if one.kind is Kind.CONNECTED}
    patient = set()
    for one in waits:
        if one.kind in (Kind.LISTENING, Kind.CLOSED) or one.local[1] in {*listening, *ports}:
            continue
        if one.kind is not Kind.CONNECTED:
            return None
        if one.peer[1] in ports:
            standing = standings.get(one.local)
            if standing is None or not _waits_virtually(one, standing):
                return None
            patient.add(one.local)
        elif one.peer in ends or one.peer[1] in listening:
            # What a thread would do when its time is up, nobody can make it do sooner.
            if one.timeout is not None and not one.looped:
                return None
        elif one.expects:
            return None
    # A reply may be waited for by a child process, or by C code, whose time-outs nobody sees.
    held = {address: standing.due for address, standing in standings.items() if standing.due is not None}
    return list(held.values()) if patient.issuperset(held) else None


def _waits_virtually(client: Seen, standing: Standing) -> bool:
    if standing.busy:
        return False
    if client.looped or client.timeout is None:
        return True
    if standing.due is None or standing.since is None:
        return False
    return client.timeout > standing.due - standing.since
