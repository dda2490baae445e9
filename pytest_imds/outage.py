"""Carries out what the faults of a server say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from threading import RLock

from werkzeug import Response

from pytest_imds import wsgi
from pytest_imds.clock import Clock
from pytest_imds.faults.faults import Faults
from pytest_imds.faults.script import Writer
from pytest_imds.host import Host
from pytest_imds.listener import Listener
from pytest_imds.network import sockets
from pytest_imds.service.message import Request


class Outages:
    """What goes wrong at a server.

    Args:
        host: who answers.
        seed: what chance comes from.
        listeners: returns where connections arrive: at the server's own port first, then in the networks of programs;
            nowhere while the server does not run.
    """

    def __init__(self, host: Host, seed: str, listeners: Callable[[], Sequence[Listener]]) -> None:
        self._host = host
        self._listeners = listeners
        self._lock = RLock()
        self._watched = False
        self._watching = ExitStack()
        self.faults = Faults(host.clock, seed, RLock(), self.mind_the_door)

    def answer(
        self, request: Request, dispatch: Callable[[], Response], hit: Callable[[tuple[str, ...]], None]
    ) -> Response:
        """Answer a request as the faults have it.

        Args:
            request: what is asked.
            dispatch: would answer it well.
            hit: is told the names of the faults that break it.
        """
        broken, clock = self.faults.breaking(request), self._host.clock
        hit(broken.by)
        self.mind_the_door()
        reply = broken.effect.reply(request, self._host) if broken.effect else None
        make = dispatch if reply is None else partial(wsgi.response, reply, clock)
        if broken.writer is not None:
            make = partial(_scripted, make, broken.writer, clock)
        return wsgi.held(clock, clock.time() + broken.late_s, make) if broken.late_s else make()

    def mind_the_door(self) -> None:
        """Shut the door, or open it, as the faults have it now."""
        with self._lock:
            listeners, kind = self._listeners(), self.faults.door()
            if listeners and self.faults.shuts and not self._watched:
                self._watched = True
                self._watching.enter_context(sockets.watch(listeners[0].port, self._attempted))
            for listener in listeners:
                if not kind:
                    listener.open()
                elif kind != listener.shut_as:
                    listener.shut(kind, self.faults.may_open)

    def leave(self) -> None:
        """Watch no more who tries to connect."""
        with self._lock:
            self._watching.close()
            self._watched = False

    def _attempted(self) -> None:
        self.mind_the_door()
        self.faults.attempted()


def _scripted(make: Callable[[], Response], writer: Writer, clock: Clock) -> Response:
    return wsgi.scripted(make(), writer, clock)
