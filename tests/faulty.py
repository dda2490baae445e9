"""Faults without a server, for the tests of what they break."""

from __future__ import annotations

from threading import Lock

from pytest_imds import Faults
from pytest_imds.clock import Clock
from pytest_imds.faults.faults import Broken
from pytest_imds.host import Host
from pytest_imds.service.message import Reply, Request

INSTANCE = "/metadata/instance"


class Faulty:
    """What a test has: a clock, faults on it, and how often somebody was told that they changed."""

    def __init__(self, seed: str = "seed") -> None:
        self.clock = Clock()
        self.changes = 0
        self.faults = Faults(self.clock, seed, Lock(), self._changed)

    def _changed(self) -> None:
        self.changes += 1

    def play(self, count: int = 1, path: str = INSTANCE, query: str = "") -> list[str]:
        """Send requests one after another, and return the faults that broke each, joined by +."""
        played = []
        for _ in range(count):
            before = len(self.faults.fired)
            self.faults.breaking(Request("GET", path, query))
            played.append("+".join(fired.fault for fired in self.faults.fired[before:]))
        return played

    def play_later(self, *seconds: float) -> list[str]:
        """Send a request after each of these pauses, and return the faults that broke each."""
        played = []
        for pause in seconds:
            self.clock.advance(pause)
            played += self.play()
        return played


def broken(faults: Faults, request: Request) -> Broken:
    """Return what happens to a request that a fault breaks."""
    before = len(faults.fired)
    happens = faults.breaking(request)
    assert len(faults.fired) > before
    return happens


def reply(faults: Faults, request: Request, host: Host) -> Reply:
    """Return the reply that a request gets in place of the service's."""
    effect = broken(faults, request).effect
    assert effect is not None
    answer = effect.reply(request, host)
    assert answer is not None
    return answer
