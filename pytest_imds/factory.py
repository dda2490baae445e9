"""The servers of a test: one, several, or a fleet whose VMs belong together."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import Any, overload

from pytest_imds.asked import Asked
from pytest_imds.clock import Clock
from pytest_imds.errors import ImdsServerError, ImdsUsageError
from pytest_imds.events.fleet import Fleet
from pytest_imds.faults.chaos import Chaos
from pytest_imds.listener import Listener
from pytest_imds.network.environment import with_trap
from pytest_imds.network.trap import Trap
from pytest_imds.server import ImdsServer
from pytest_imds.shared import Shared
from pytest_imds.virtual import Standing, VirtualTime


class ServerFactory:
    """Makes servers that live as long as the test, in one time.

    Args:
        shared: what servers share.
        clock: their time.
        asked: what the test asks of them.
    """

    def __init__(self, shared: Shared, clock: Clock, asked: Asked) -> None:
        self._shared = shared
        self._clock = clock
        self._asked = asked
        self._calls = 0
        self._virtual: VirtualTime | None = None
        self._trap: Trap | None = None
        self.started: list[ImdsServer] = []
        self.judged = True  # whether a fault that has never fired is a problem

    def first(self) -> ImdsServer:
        """Start the server that a test has by the fixture ``imds_server``.

        Raises:
            ImdsUsageError: as ``ImdsServer``.
        """
        asked = self._asked
        server = self._start(asked.profile, None, {"seed": asked.seed, **asked.server, **asked.knobs})
        for fault in asked.faults:
            fault.plan(server.faults)
        return server

    @overload
    def __call__(self, profile: str | None = None, *, count: None = None, **options: Any) -> ImdsServer: ...

    @overload
    def __call__(self, profile: str | None = None, *, count: int, **options: Any) -> list[ImdsServer]: ...

    def __call__(
        self, profile: str | None = None, *, count: int | None = None, **options: Any
    ) -> ImdsServer | list[ImdsServer]:
        """Start a server, or a fleet of them.

        Args:
            profile: what kind of VM it is; the ini option ``imds_profile`` by default.
            count: how many VMs the fleet has; None is one VM that stands alone. With a scale set they are
                its instances. They share their group, image, size, subnet and scheduled events, and have ids,
                names, addresses and fault domains of their own.
            options: what else ``ImdsServer`` takes: knobs, ``newest``, ``seed`` ...

        Returns:
            The server, or with ``count`` a list of them.

        Raises:
            ImdsUsageError: as ``ImdsServer``; or ``count`` is not 1 or more.
        """
        __tracebackhide__ = True
        self._calls += 1
        asked = self._asked
        wanted = {"seed": f"{asked.seed}:{self._calls}", **asked.server, **asked.of_all, **options}
        kind = asked.usual_profile if profile is None else profile
        try:
            if count is None:
                return self._start(kind, None, wanted)
            if not _is_count(count):
                raise ImdsUsageError.wrong_value("count", count, "how many VMs the fleet has: 1 or more")
            fleet = Fleet(self._clock)
            return [self._start(kind, fleet, wanted) for _ in range(count)]
        except ImdsUsageError as error:
            # The user's line is what is wrong: our frames would tell nobody anything.
            raise error.with_traceback(None) from None

    @property
    def ports(self) -> Collection[int]:
        """Where the servers listen."""
        return [server.port for server in self.started]

    def standings(self) -> Mapping[tuple[str, int], Standing]:
        """Return how each connection to the servers stands, by the address of the client."""
        listeners = [server.server for server in self.started if isinstance(server.server, Listener)]
        return {
            connection.peer: Standing(connection.busy, *(connection.held or (None, None)))
            for listener in listeners
            for connection in listener.connections
            if not connection.given_up
        }

    def trap(self, proxy: ImdsServer) -> dict[str, str]:
        """Let ``proxy`` pass for a proxy, which no client of a server may take.

        Returns:
            The environment of the process, with the proxy in it.
        """
        self._trap = Trap(lambda: self.started)
        for server in self.started:
            server.trap = self._trap
        return with_trap(os.environ, proxy.url)

    @contextmanager
    def virtual_time(self) -> Iterator[Clock]:
        """Make the time of the servers virtual, unless it is."""
        if self._virtual is not None:
            yield self._clock
            return
        self._virtual = VirtualTime(self._clock, self)
        try:
            with self._virtual:
                yield self._clock
        finally:
            self._virtual = None

    def close(self) -> None:
        """Stop what was started, the last first, and raise what went wrong inside, all of it in one message.

        Raises:
            ImdsServerError: as ``ImdsServer.check``.
        """
        for server in reversed(self.started):
            server.release()
        problems = [problem for server in self.started for problem in server.problems(judged=self.judged)]
        if problems:
            raise ImdsServerError.during_test(problems)

    def _start(self, profile: str, fleet: Fleet | None, wanted: Mapping[str, Any]) -> ImdsServer:
        clock = None if fleet else self._clock
        server = ImdsServer(profile, fleet=fleet, clock=clock, shared=self._shared, **wanted)
        if self._asked.chaos is not None:
            server.faults.unleash(Chaos(Random(f"{self._asked.chaos} {len(self.started)}")))
        server.trap = self._trap
        server.start()
        self.started.append(server)
        return server


def _is_count(count: Any) -> bool:
    return isinstance(count, int) and not isinstance(count, bool) and count > 0
