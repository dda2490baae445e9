"""The programs that a server has started in networks of their own, and where it listens there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from threading import Lock
from typing import Any

from pytest_imds.listener import Listener, Owner
from pytest_imds.network.child import Child


class Children:
    """Starts programs, and ends them with the server.

    Args:
        owner: who answers them.
        listens: called when the server listens in another network, before the program there begins.
    """

    def __init__(self, owner: Owner, listens: Callable[[], None]) -> None:
        self._owner = owner
        self._listens = listens
        self._lock = Lock()
        self._listeners: dict[Child, list[Listener]] = {}

    @property
    def listeners(self) -> list[Listener]:
        """Where the server listens in the networks of the programs."""
        with self._lock:
            return [listener for listeners in self._listeners.values() for listener in listeners]

    def start(self, args: Any, port: int, names: Collection[str], options: dict[str, Any]) -> Child:
        """Start a program; see :class:`Child`.

        Raises:
            ImdsNamespaceError: the system does not allow it.
            OSError: as :class:`subprocess.Popen`.
        """
        self._leave(child for child in self._known() if child.poll() is not None and not child.inhabitants())
        child = Child(args, port, names, **options)
        with self._lock:
            mine = self._listeners[child] = []
        for lent in child.sockets:
            with closing(lent):
                listener = Listener(lent=lent)
            listener.attach(self._owner)
            mine.append(listener)
        try:
            self._listens()
            child.begin()
        except BaseException:
            self._leave([child])
            raise
        return child

    def end(self) -> list[str]:
        """End all of them, and what they have started.

        Returns:
            The requests that were still being answered when the time for that was up.
        """
        children = self._known()
        for child in children:
            child.end()
        return self._leave(children)

    def _known(self) -> list[Child]:
        with self._lock:
            return list(self._listeners)

    def _leave(self, children: Iterable[Child]) -> list[str]:
        """Stop listening in the networks of programs that have ended."""
        unanswered = []
        for child in list(children):
            with self._lock:
                listeners = self._listeners.pop(child, [])
            unanswered += [request for listener in listeners for request in listener.shutdown()]
        return unanswered
