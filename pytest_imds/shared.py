"""What servers that follow one another share, because it takes long to make."""

from __future__ import annotations

import socket
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from pytest_imds import interceptors
from pytest_imds.errors import ImdsUsageError
from pytest_imds.listener import Listener
from pytest_imds.vm.provider import generator

if TYPE_CHECKING:
    from faker import Generator

    from pytest_imds.trust.authority import Authority


class Shared:
    """Listening sockets, a Faker generator and a root of trust, each made on first use.

    Args:
        authority_keys: the kind of keys of the certificate authorities, ``rsa`` or ``ec``.
    """

    def __init__(self, authority_keys: str = "rsa") -> None:
        self._listeners: list[Listener] = []
        self._authority_keys = authority_keys
        self._authority: Authority | None = None
        self._making = Lock()  # the first document may be asked for twice at once

    @cached_property
    def fake(self) -> Generator:
        """The Faker generator; every VM seeds it anew."""
        return generator()

    def authority(self) -> Authority:
        """Return the root of trust; the first call makes it."""
        from pytest_imds.trust.authority import Authority  # cryptography takes long to import

        with self._making:
            self._authority = self._authority or Authority(self._authority_keys)
        return self._authority

    def listener(self, port: int) -> Listener:
        """Return a listener that no server has at the moment, a new one if there is none.

        Raises:
            ImdsPortError: the port is taken.
            ImdsUsageError: pytest-socket lets no socket be made, so that no client could come.
        """
        try:
            socket.socket().close()
        except (RuntimeError, UserWarning) as refused:  # it warns first, which may be an error
            raise ImdsUsageError.no_sockets(refused, interceptors.known()["pytest_socket"]["passes"]) from None
        for listener in self._listeners:
            if listener.alive and not listener.attached and port in (0, listener.port):
                return listener
        self._listeners = [listener for listener in self._listeners if listener.alive]
        self._listeners.append(Listener(port))
        return self._listeners[-1]

    def close(self) -> None:
        """Stop listening."""
        for listener in self._listeners:
            listener.shutdown()
