"""What becomes of a scheduled event: a pure function of what was done to it, and of the time.

Nothing is ever changed in place. What is done to events is put at the end of a
log, and whoever wants to know how they stand reads the log up to now: so a
request and a test never see half of what the other does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

SCHEDULED, STARTED, COMPLETED, CANCELED = "Scheduled", "Started", "Completed", "Canceled"
NEVER = float("inf")


@dataclass(frozen=True)
class Plan:
    """What an event is when it is scheduled; times are seconds since the epoch.

    Attributes:
        event_id: a GUID in capitals.
        event_type: ``Freeze``, ``Reboot``, ``Redeploy``, ``Preempt`` or ``Terminate``.
        resources: the names of the VMs that it is about.
        due: when it starts unless it is approved sooner: ``NotBefore``.
        impact_s: how long after its start it is shown.
        source: ``Platform`` or ``User``.
        description: what is going to happen.
        duration_s: ``DurationInSeconds``.
        at_once: it is shown as started from the beginning.
    """

    event_id: str
    event_type: str
    resources: tuple[str, ...]
    due: float
    impact_s: float
    source: str
    description: str
    duration_s: int
    at_once: bool


class Entry(NamedTuple):
    """A line of the log: what was done, to which events, when."""

    what: str
    event_ids: tuple[str, ...]
    at: float
    plan: Plan | None = None


@dataclass(frozen=True)
class Course:
    """How an event has gone so far."""

    plan: Plan
    approved_at: float = NEVER
    start_at: float = NEVER
    ended_at: float = NEVER

    @property
    def begins(self) -> float:
        """When it starts, as things stand."""
        return min(self.plan.due, self.approved_at, self.start_at)

    @property
    def ends(self) -> float:
        """When it is gone, as things stand."""
        return min(self.ended_at, self.begins + self.plan.impact_s)

    def status(self, now: float) -> str:
        """Return what it is; the service shows the first two only."""
        if now >= self.ends:
            return COMPLETED if self.begins <= self.ends else CANCELED
        return STARTED if now >= self.begins else SCHEDULED

    def changes(self, now: float) -> int:
        """Return how often it has changed what the service shows."""
        has_started = not self.plan.at_once and self.begins <= min(now, self.ends)
        return 1 + has_started + (now >= self.ends)


# Which of its times each entry sets; the first of a kind counts.
SETS = {"approve": "approved_at", "start": "start_at", "end": "ended_at"}


def courses(log: Iterable[Entry]) -> dict[str, Course]:
    """Return how each event has gone, by its id, in the order in which they were scheduled."""
    known: dict[str, Course] = {}
    for entry in log:
        if entry.plan is not None:
            known[entry.plan.event_id] = Course(entry.plan)
            continue
        for event_id in entry.event_ids:
            time, course = SETS[entry.what], known[event_id]
            known[event_id] = replace(course, **{time: min(getattr(course, time), entry.at)})
    return known
