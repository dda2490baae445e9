"""Where connections of this process lead instead, by whoever wants to know at the moment."""

from __future__ import annotations

from threading import RLock
from typing import Protocol

from pytest_imds.errors import ImdsGuardError
from pytest_imds.network.addresses import Address


class Route(Protocol):
    """Says where some connections lead."""

    def leads(self, host: object, port: object) -> Address | None:
        """Return where a connection to ``host`` leads instead; None if that is not this route's business.

        Raises:
            ImdsGuardError: it must not be made.
        """

    def resolves(self, host: object, port: object) -> str | None:
        """Return the address that the name ``host`` has instead of its own; None if it keeps that."""


lock = RLock()  # what is looked up under it may be a hook that leaves
_routes: tuple[Route, ...] = ()


def add(route: Route) -> None:
    """Ask ``route`` first from now on."""
    global _routes
    with lock:
        _routes = (route, *_routes)


def remove(route: Route) -> None:
    """Ask ``route`` no more."""
    global _routes
    with lock:
        _routes = tuple(other for other in _routes if other is not route)


def there_are() -> bool:
    """Return whether there is any route."""
    return bool(_routes)


def serves(host: object, port: object) -> bool:
    """Return whether a connection leads to a server of ours."""
    try:
        return led(host, port) is not None
    except ImdsGuardError:
        return False


def led(host: object, port: object) -> Address | None:
    """Return where a connection leads instead; None if it leads where it was to.

    Raises:
        ImdsGuardError: it must not be made.
    """
    __tracebackhide__ = True
    for route in _routes:
        if (address := route.leads(host, port)) is not None:
            return address
    return None


def resolved(host: object, port: object) -> str | None:
    """Return the address that a name has instead of its own; None if it keeps that."""
    for route in _routes:
        if (address := route.resolves(host, port)) is not None:
            return address
    return None
