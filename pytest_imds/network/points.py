"""Where connections are made, and names resolved, without a method of a socket.

What stands there asks the routes each time, so it does nothing where somebody puts it back when no route is left.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from pytest_imds.network import routes
from pytest_imds.network.sockets import lead
from pytest_imds.patches import Patches

# Lets no name be resolved, nor any socket be made.
REFUSES = "pytest_socket"
_patches = Patches()


def _creates(theirs: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(theirs)
    async def create_connection(
        loop: Any, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        __tracebackhide__ = True
        # An address needs no resolving, and a name that has another address leads where that one does.
        led = routes.led(routes.resolved(host, port) or host, port)
        if led is None:
            return await theirs(loop, protocol_factory, host, port, **options)
        if options.get("ssl") and options.get("server_hostname") is None:
            options["server_hostname"] = host
        return await theirs(loop, protocol_factory, *led, **{**options, "family": socket.AF_INET})

    return create_connection


def _connects(theirs: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(theirs)
    async def sock_connect(loop: Any, sock: socket.socket, address: Any) -> Any:
        __tracebackhide__ = True
        led = lead(sock, address)
        return await theirs(loop, sock, address if led is None else led)

    return sock_connect


def _resolves(theirs: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(theirs)
    def getaddrinfo(host: Any, port: Any, *given: Any, **options: Any) -> Any:
        return theirs(routes.resolved(host, port) or host, port, *given, **options)

    return getaddrinfo


def _resolves_later(theirs: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(theirs)
    async def getaddrinfo(resolving: Any, host: Any, port: Any = 0, *given: Any, **options: Any) -> Any:
        return await theirs(resolving, routes.resolved(host, port) or host, port, *given, **options)

    return getaddrinfo


# Module, class (none for the module itself), name, and what takes its place.
POINTS = (
    ("socket", "", "getaddrinfo", _resolves),
    ("uvloop", "Loop", "create_connection", _creates),
    ("uvloop", "Loop", "getaddrinfo", _resolves_later),
    ("aiohttp.resolver", "AsyncResolver", "resolve", _resolves_later),
    ("asyncio.proactor_events", "BaseProactorEventLoop", "sock_connect", _connects),
)


def refresh() -> None:
    """Put what is ours wherever a loaded module lacks it; take it away if there is no route."""
    with routes.lock:
        if not routes.there_are():
            _patches.undo()
            if _loading in sys.meta_path:
                sys.meta_path.remove(_loading)
            return
        for module, of, name, ours in POINTS:
            owner = sys.modules.get(module)
            owner = getattr(owner, of, None) if of else owner
            if not isinstance(owner, (type, ModuleType)) or _patches.has(owner, name):
                continue
            # What refuses everything is taken away again only where it is found on top.
            if getattr(getattr(owner, name), "__module__", "") != REFUSES:
                _patches.put(owner, name, ours)
        if "uvloop" not in sys.modules and _loading not in sys.meta_path:
            sys.meta_path.insert(0, _loading)


class _Loading(MetaPathFinder):
    """Looks at uvloop as soon as it is loaded: code may do so when a test has begun."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "uvloop":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        load: Callable[[ModuleType], None] = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            refresh()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


_loading = _Loading()
