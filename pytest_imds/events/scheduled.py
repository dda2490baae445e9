"""What a test holds of the scheduled events of a VM."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timezone
from random import Random
from typing import Any

from pytest_imds import data
from pytest_imds.clock import seconds_at_least
from pytest_imds.errors import ImdsUsageError
from pytest_imds.events.fleet import Fleet
from pytest_imds.events.lifecycle import NEVER, SCHEDULED, STARTED, Course, Entry, Plan
from pytest_imds.guid import guid
from pytest_imds.vm.model import Vm


class Event:
    """A scheduled event: what becomes of it, and what a test can do to it."""

    def __init__(self, plan: Plan, fleet: Fleet) -> None:
        self._plan = plan
        self._fleet = fleet

    @property
    def event_id(self) -> str:
        """Its ``EventId``: a GUID in capitals, the same for as long as the event is there."""
        return self._plan.event_id

    @property
    def event_type(self) -> str:
        """Its ``EventType``: Freeze, Reboot, Redeploy, Preempt or Terminate."""
        return self._plan.event_type

    @property
    def resources(self) -> tuple[str, ...]:
        """The names of the VMs that it is about."""
        return self._plan.resources

    @property
    def not_before(self) -> datetime:
        """When it starts by itself, in UTC."""
        return datetime.fromtimestamp(int(self._plan.due), timezone.utc)

    @property
    def status(self) -> str:
        """``Scheduled`` or ``Started``, as the service shows it; ``Completed`` or ``Canceled`` when it is gone."""
        return self._course.status(self._fleet.clock.time())

    @property
    def approved(self) -> bool:
        """Whether a client has approved it, which is what started it."""
        return self._course.approved_at < NEVER

    def start(self) -> None:
        """Let it start now, unapproved.

        Raises:
            ImdsUsageError: it has started, or is gone.
        """
        self._do("start", "start", SCHEDULED)

    def cancel(self) -> None:
        """Let it be called off: it disappears without having started.

        Raises:
            ImdsUsageError: it has started, or is gone.
        """
        self._do("end", "cancel", SCHEDULED)

    def complete(self) -> None:
        """Let it be over: it disappears.

        Raises:
            ImdsUsageError: it has not started, or is gone.
        """
        self._do("end", "complete", STARTED)

    def __repr__(self) -> str:
        return f"<Event {self.event_type} {self.event_id} {self.status} {', '.join(self.resources)}>"

    @property
    def _course(self) -> Course:
        return self._fleet.standing().courses[self.event_id]

    def _do(self, what: str, method: str, needed: str) -> None:
        standing = self._fleet.standing()
        status = standing.courses[self.event_id].status(standing.now)
        if status != needed:
            raise ImdsUsageError.wrong_moment(f"{method}() of {self!r}", status, needed)
        self._fleet.note(Entry(what, (self.event_id,), standing.now))


class ScheduledEvents:
    """The scheduled events that a VM sees.

    Attributes:
        first_call_s: how long the first request is kept waiting, in seconds of the service's time. In
            life it is up to 120; 0 is not at all.
        empty_body: answer 200 with nothing in it, as some nodes have been seen to.
        approval_body: what an approval is answered with.
    """

    def __init__(self, vm: Vm, fleet: Fleet, random: Random) -> None:
        self.first_call_s: float = 0
        self.empty_body = False
        self.approval_body = ""
        self._vm = vm
        self._fleet = fleet
        self._random = random
        self._last_call = -NEVER
        self._on_since = -NEVER

    def schedule(
        self,
        event_type: str,
        *,
        resources: Iterable[Vm | str] | None = None,
        notice_s: float | None = None,
        source: str | None = None,
        description: str | None = None,
        duration_s: int | None = None,
        started: bool = False,
    ) -> Event:
        """Schedule an event; every VM of the fleet sees it.

        Args:
            event_type: ``Freeze``, ``Reboot``, ``Redeploy``, ``Preempt`` or ``Terminate``.
            resources: the VMs that it is about, or their names; this one by default.
            notice_s: how long before its start it is announced, in seconds; by default as long as
                Azure promises at least.
            source: ``Platform`` or ``User``.
            description: what is going to happen; by default what Azure says.
            duration_s: how long it interrupts the VM, in seconds; -1 is unknown.
            started: it starts at once, unannounced, as after a failure of the hardware.

        Raises:
            ImdsUsageError: an argument is none of those above.

        Source: ``types`` in ``fixtures_data/events.json``.
        """
        types = data.read("events")["types"]["by_type"]
        row = types[_one_of("event type", event_type, types)]
        if started and notice_s is not None:
            raise ImdsUsageError.wrong_value("notice_s", notice_s, "left out: what starts at once is not announced")
        chosen = row["source"] if source is None else _one_of("source", source, ("Platform", "User"))
        told = row["failure"] if started else row["descriptions"][chosen]
        _check_text("description", told if description is None else description)
        notice = 0 if started else row["notice_s"] if notice_s is None else seconds_at_least("notice_s", notice_s, 0)
        now = self._fleet.clock.time()
        plan = Plan(
            event_id=guid(self._random).upper(),
            event_type=event_type,
            resources=self._names(resources),
            due=int(now + notice),  # NotBefore tells whole seconds
            impact_s=row["impact_s"],
            source=chosen,
            description=told if description is None else description,
            duration_s=row["duration_s"] if duration_s is None else _whole("duration_s", duration_s, -1),
            at_once=started,
        )
        self._fleet.note(Entry("schedule", (), now, plan))
        return Event(plan, self._fleet)

    @property
    def incarnation(self) -> int:
        """The ``DocumentIncarnation``: it rises with every change of the events, and only then."""
        return self._fleet.standing().incarnation

    def approve(self, event_ids: Collection[str]) -> bool:
        """Let these events start now, as a client asks; all of them, or none if one has never been there."""
        standing = self._fleet.standing()
        wanted = [event_id.upper() for event_id in event_ids]
        if any(event_id not in standing.courses for event_id in wanted):
            return False
        waiting = [name for name in wanted if standing.courses[name].status(standing.now) == SCHEDULED]
        if waiting:
            self._fleet.note(Entry("approve", tuple(waiting), standing.now))
        return True

    def document(self, shape: Callable[[Course, str], Mapping[str, Any] | None]) -> dict[str, Any]:
        """Return ``{"DocumentIncarnation": int, "Events": [...]}``; ``shape`` gives None for what is not shown."""
        standing = self._fleet.standing()
        shown = [shape(course, status) for course, status in standing.shown]
        return {"DocumentIncarnation": standing.incarnation, "Events": [event for event in shown if event is not None]}

    def answers_from(self) -> float:
        """Take note of a request, and return when it is answered: the first one turns the service on.

        Source: ``first-call`` in ``fixtures_data/events.json``.
        """
        now = self._fleet.clock.time()
        if now - self._last_call > data.read("events")["first-call"]["off_after_s"]:
            self._on_since = now + self.first_call_s
        self._last_call = now
        return self._on_since

    def _names(self, resources: Iterable[Vm | str] | None) -> tuple[str, ...]:
        given: Any = [self._vm] if resources is None else resources
        asked = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else []
        names = [one.name if isinstance(one, Vm) else one for one in asked]
        if not names or not all(isinstance(name, str) and name for name in names):
            raise ImdsUsageError.wrong_value("resources", resources, "a list of VMs or of their names")
        return tuple(names)


def _check_text(argument: str, received: Any) -> None:
    if not isinstance(received, str):
        raise ImdsUsageError.wrong_value(argument, received, "text")


def _whole(argument: str, received: Any, least: int) -> int:
    if not isinstance(received, int):
        raise ImdsUsageError.wrong_value(argument, received, f"whole seconds, {least} or more")
    return int(seconds_at_least(argument, received, least))


def _one_of(argument: str, received: Any, known: Collection[str]) -> str:
    if not isinstance(received, str) or received not in known:
        raise ImdsUsageError.unknown(argument, received, known)
    return received
