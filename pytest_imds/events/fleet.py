"""VMs that belong together: those of a scale set, of an availability set."""

from __future__ import annotations

from typing import NamedTuple

from pytest_imds.clock import Clock
from pytest_imds.events.lifecycle import SCHEDULED, STARTED, Course, Entry, courses


class Standing(NamedTuple):
    """How the events of a fleet stand at one moment.

    ``incarnation`` rises with every change of ``courses``, and only then.
    """

    incarnation: int
    now: float
    courses: dict[str, Course]

    @property
    def shown(self) -> list[tuple[Course, str]]:
        """The events that the service shows, and their states."""
        states = [(course, course.status(self.now)) for course in self.courses.values()]
        return [(course, status) for course, status in states if status in (SCHEDULED, STARTED)]


class Fleet:
    """VMs that belong together: they see the same scheduled events, and live in the same time.

    Servers that are given the same fleet, profile, seed and knobs have VMs of one scale set, or of one group:
    each has ids, names, addresses and a fault domain of its own, and shares the rest.

    Args:
        clock: the time they live in; a new clock by default.

    Attributes:
        clock: the time they live in.
        size: how many VMs there are.

    Example:
        >>> fleet = Fleet()
        >>> servers = [ImdsServer("scale-set", seed=7, fleet=fleet) for _ in range(3)]
        >>> len({server.vm.vm_id for server in servers}), len({server.vm.vm_scale_set_name for server in servers})
        (3, 1)
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.size = 0
        self._log: list[Entry] = []

    def join(self) -> None:
        """Count one more VM."""
        self.size += 1

    def note(self, entry: Entry) -> None:
        """Put something at the end of the log."""
        self._log.append(entry)

    def standing(self) -> Standing:
        """Return how the events stand now.

        Source: ``incarnation`` in ``fixtures_data/events.json``.
        """
        log, now = tuple(self._log), self.clock.time()
        known = courses(log)
        return Standing(1 + sum(course.changes(now) for course in known.values()), now, known)
