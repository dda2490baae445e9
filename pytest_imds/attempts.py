"""Watches this process's attempts to connect to a port of the loopback interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from inspect import getattr_static
from ipaddress import IPv6Address, ip_address
from socket import AF_INET, AF_INET6, SOCK_STREAM, socket
from threading import RLock
from types import MethodType
from typing import Any

Watch = tuple[int, Callable[[], None]]

_lock = RLock()  # what is looked up under it may be a hook that leaves
_watches: tuple[Watch, ...] = ()
_hooks: dict[str, _Hook] = {}


@contextmanager
def watch(port: int, attempted: Callable[[], None]) -> Iterator[None]:
    """Call ``attempted`` whenever a TCP socket of this process is about to connect to ``port`` of this machine.

    It is called by the thread that connects, before it does. What counts is
    :meth:`socket.socket.connect` and ``connect_ex``, which asyncio goes through
    as well, to an address in 127.0.0.0/8, mapped into IPv6 or not, or to
    ``localhost``. C code and other processes are not seen.

    Args:
        port: the port.
        attempted: takes note; raises nothing.
    """
    global _watches
    added = (port, attempted)
    with _lock:
        _watches = (*_watches, added)
        for name in ("connect", "connect_ex"):
            top = vars(socket).get(name)
            if top is None or top is not _hooks.get(name):
                if isinstance(top, _Hook):
                    top.leave()
                _hooks[name] = _Hook(name)
    try:
        yield
    finally:
        with _lock:
            _watches = tuple(other for other in _watches if other is not added)
            if not _watches:
                left = list(_hooks.values())
                _hooks.clear()
                for hook in left:
                    hook.leave()


class _Hook:
    """Stands in the class for a method of sockets while something is watched.

    Who has replaced it meanwhile may put it back at any time, when nothing is
    watched any more, or another hook stands above it: it lets everything pass
    then, and leaves the class as soon as it is found there.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._inherited = name not in vars(socket)
        self._replaced: Any = getattr_static(socket, name)
        setattr(socket, name, self)

    def __get__(self, connecting: socket | None, owner: type[socket]) -> Any:
        if _hooks.get(self._name) is not self:
            self.leave()
            return self._beneath(connecting, owner)
        return self if connecting is None else MethodType(self, connecting)

    def __call__(self, connecting: socket, address: Any) -> Any:
        if _hooks.get(self._name) is self:
            for port, attempted in _watches:
                if _leads_to(port, connecting, address):
                    attempted()
        return self._beneath(connecting, type(connecting))(address)

    def _beneath(self, connecting: socket | None, owner: type[socket]) -> Any:
        """Return what a look-up would find if the hook were not there."""
        bind = getattr(type(self._replaced), "__get__", None)
        return self._replaced if bind is None else bind(self._replaced, connecting, owner)

    def leave(self) -> None:
        """Put back what was there, unless somebody has put something else there, or the hook is needed."""
        with _lock:
            if vars(socket).get(self._name) is not self or _hooks.get(self._name) is self:
                return
            if self._inherited:
                delattr(socket, self._name)
            else:
                setattr(socket, self._name, self._replaced)


def _leads_to(port: int, connecting: socket, address: Any) -> bool:
    if not isinstance(address, tuple) or len(address) < 2 or address[1] != port:
        return False
    if connecting.family not in (AF_INET, AF_INET6) or connecting.type != SOCK_STREAM:
        return False
    host = address[0].decode("ascii", "replace") if isinstance(address[0], (bytes, bytearray)) else address[0]
    if host == "localhost":
        return connecting.family == AF_INET  # another socket takes it for ::1, where no server of ours listens
    with suppress(ValueError):
        ip = ip_address(host)
        reached = ip.ipv4_mapped if isinstance(ip, IPv6Address) else ip
        return reached is not None and reached.is_loopback
    return False
