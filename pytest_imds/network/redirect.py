"""Leads clients of this process to a server of the test, or keeps them from leaving the machine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from pytest_imds.errors import ImdsGuardError
from pytest_imds.network import addresses, points, routes, sockets
from pytest_imds.network.addresses import Address


class Redirect:
    """Leads connections to the addresses of Azure's host to a server.

    Args:
        server: returns where it listens.
        names: hosts whose HTTP leads there as well.
    """

    def __init__(self, server: Callable[[], Address], names: Collection[str] = ()) -> None:
        self._server = server
        self._names = names

    def leads(self, host: object, port: object) -> Address | None:
        """Return where the server listens, if ``host`` is one of the addresses.

        Raises:
            ImdsGuardError: at that port nobody of ours listens.
        """
        __tracebackhide__ = True  # the client's line is what is of interest
        address = addresses.of_azure(host)
        if address is None:
            return None
        if not addresses.is_http(port):
            raise ImdsGuardError.other_port(address, port)
        return self._server()

    def resolves(self, host: object, port: object) -> str | None:
        """Return the address of the host, which leads to the server, for HTTP to one of the names."""
        name = bytes(host).decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host
        if self._names and isinstance(name, str) and name.lower() in self._names and addresses.is_http(port):
            return addresses.hosts()[1]
        return None


class Guard:
    """Refuses connections to the addresses of Azure's host.

    Args:
        test: returns what runs, as pytest calls it; empty between tests.
    """

    def __init__(self, test: Callable[[], str]) -> None:
        self._test = test

    def leads(self, host: object, port: object) -> Address | None:
        """Return None: a connection elsewhere leads there.

        Raises:
            ImdsGuardError: ``host`` is one of the addresses.
        """
        __tracebackhide__ = True
        address = addresses.of_azure(host)
        if address is not None:
            raise ImdsGuardError.no_server(self._test(), address, port)
        return None

    def resolves(self, host: object, port: object) -> str | None:
        """Return None: names keep their addresses."""
        return None


@contextmanager
def routed(route: Redirect | Guard) -> Iterator[None]:
    """Ask ``route`` where connections of this process lead."""
    routes.add(route)
    refresh()
    try:
        yield
    finally:
        routes.remove(route)
        refresh()


def refresh() -> None:
    """See that routes are asked: others may have put something else there, or loaded what was not there before."""
    sockets.refresh()
    points.refresh()
