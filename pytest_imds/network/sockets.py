"""Stands between Python code of this process and its sockets: watches attempts to connect, and leads them elsewhere."""

from __future__ import annotations

import _socket
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from inspect import getattr_static
from ipaddress import IPv6Address, ip_address
from socket import AF_INET, AF_INET6, SOCK_STREAM
from types import MethodType
from typing import Any

from pytest_imds.errors import ImdsGuardError
from pytest_imds.network import routes

Watch = tuple[int, Callable[[], None]]

NAMES = ("connect", "connect_ex")

_watches: tuple[Watch, ...] = ()
_hooks: dict[str, _Hook] = {}


@contextmanager
def watch(port: int, attempted: Callable[[], None]) -> Iterator[None]:
    """Call ``attempted`` whenever a TCP socket of this process is about to connect to ``port`` of this machine.

    It is called by the thread that connects, before it does. What counts is
    :meth:`socket.socket.connect` and ``connect_ex``, which asyncio goes through
    as well, to an address in 127.0.0.0/8, mapped into IPv6 or not, or to
    ``localhost``, or what a route leads there. C code and other processes are not seen.

    Args:
        port: the port.
        attempted: takes note; raises nothing.
    """
    global _watches
    added = (port, attempted)
    with routes.lock:
        _watches = (*_watches, added)
        refresh()
    try:
        yield
    finally:
        with routes.lock:
            _watches = tuple(other for other in _watches if other is not added)
            if not _watches:
                refresh()


def refresh() -> None:
    """Put the hooks where they are needed and are not, or are no longer on top; take them away if nobody needs them."""
    with routes.lock:
        if _watches or routes.there_are():
            for name in NAMES:
                _put(name)
        else:
            left = list(_hooks.values())
            _hooks.clear()
            for hook in (*left, *(vars(socket.socket).get(name) for name in NAMES)):
                if isinstance(hook, _Hook):  # or one that somebody has put back who stood above it
                    hook.leave()


def _put(name: str) -> None:
    # Who patches everything, as gevent does, puts another class in the place of the first.
    owner, ours = socket.socket, _hooks.get(name)
    top = vars(owner).get(name)
    if top is None or top is not ours:
        if isinstance(top, _Hook):
            top.leave()
        _hooks[name] = _Hook(owner, name)
        if ours is not None:
            ours.leave()


class _Hook:
    """Stands in a class of sockets for one of its methods while somebody needs it.

    Who has replaced it meanwhile may put it back at any time, when nobody needs
    it any more, or another hook stands above it: it lets everything pass
    then, and leaves the class as soon as it is found there.
    """

    def __init__(self, owner: type[socket.socket], name: str) -> None:
        self._owner = owner
        self._name = name
        self._inherited = name not in vars(owner)
        self._replaced: Any = getattr_static(owner, name)
        setattr(owner, name, self)

    def __get__(self, connecting: socket.socket | None, owner: type[socket.socket]) -> Any:
        if _hooks.get(self._name) is not self:
            self.leave()
            return self._beneath(connecting, owner)
        return self if connecting is None else MethodType(self, connecting)

    def __call__(self, connecting: socket.socket, address: Any) -> Any:
        __tracebackhide__ = True
        beneath = self._beneath(connecting, type(connecting))
        if _hooks.get(self._name) is not self:
            return beneath(address)
        led = lead(connecting, address)
        reached = address if led is None else led
        for port, attempted in _watches:
            if _leads_to(port, connecting, reached):
                attempted()
        if led is not None and isinstance(connecting, _socket.socket):
            # Other guards stand beneath, and do not know that this leads nowhere but to the test's server.
            return getattr(_socket.socket, self._name)(connecting, led)
        return beneath(reached)

    def _beneath(self, connecting: socket.socket | None, owner: type[socket.socket]) -> Any:
        """Return what a look-up would find if the hook were not there."""
        bind = getattr(type(self._replaced), "__get__", None)
        return self._replaced if bind is None else bind(self._replaced, connecting, owner)

    def leave(self) -> None:
        """Put back what was there, unless somebody has put something else there, or the hook is needed."""
        with routes.lock:
            if vars(self._owner).get(self._name) is not self or _hooks.get(self._name) is self:
                return
            if self._inherited:
                delattr(self._owner, self._name)
            else:
                setattr(self._owner, self._name, self._replaced)


def lead(connecting: socket.socket, address: Any) -> Any:
    """Return where a socket is to connect instead, as an address of its family; None if nowhere else.

    Raises:
        ImdsGuardError: it must not connect; the socket is closed.
    """
    __tracebackhide__ = True
    if not isinstance(address, tuple) or len(address) < 2 or not _is_tcp(connecting):
        return None
    try:
        led = routes.led(address[0], address[1])
    except ImdsGuardError:
        connecting.close()  # who is to close it expects another kind of error
        raise
    return (f"::ffff:{led[0]}", led[1]) if led is not None and connecting.family == AF_INET6 else led


def _is_tcp(connecting: socket.socket) -> bool:
    return connecting.family in (AF_INET, AF_INET6) and connecting.type == SOCK_STREAM


def _leads_to(port: int, connecting: socket.socket, address: Any) -> bool:
    if not isinstance(address, tuple) or len(address) < 2 or address[1] != port or not _is_tcp(connecting):
        return False
    host = address[0].decode("ascii", "replace") if isinstance(address[0], (bytes, bytearray)) else address[0]
    if host == "localhost":
        return connecting.family == AF_INET  # another socket takes it for ::1, where no server of ours listens
    with suppress(ValueError):
        ip = ip_address(host)
        reached = ip.ipv4_mapped if isinstance(ip, IPv6Address) else ip
        return reached is not None and reached.is_loopback
    return False
