"""Scheduled events of three VMs hold to their rules, whatever is done to them in whatever order."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pytest_imds import ImdsUsageError, data
from pytest_imds.events.fleet import Fleet
from pytest_imds.events.scheduled import Event
from pytest_imds.host import Host
from pytest_imds.service.handle import handle
from pytest_imds.service.message import Reply, Request
from pytest_imds.vm.provider import generate, generator
from tests import hosts

TYPES: dict[str, dict[str, Any]] = data.read("events")["types"]["by_type"]
VERSIONS: list[str] = data.read("endpoints")["scheduledevents"]["versions"]
NEWEST = VERSIONS[-1]
VMS = [generate(generator(), "scale-set", "machine", {}, member) for member in range(3)]
UNKNOWN_ID = "00000000-0000-4000-A000-000000000000"

# The machine's own time passes too: every time is a multiple of ten seconds, and an example takes less than that.
STEPS_S = st.sampled_from([10, 20, 30, 100, 290, 300, 600, 900])
NOTICES_S = st.sampled_from([None, 0, 10, 100, 3600])
PLACES = st.integers(0, 99)
MEMBERS = st.integers(0, len(VMS) - 1)


@dataclass
class Expected:
    """An event as the model has it; times are what the clock was moved on by since the start."""

    event: Event
    due: int
    impact: int
    state: str = "Scheduled"
    ends: int = 0

    def starts(self, at: int) -> None:
        self.state, self.ends = "Started", at + self.impact


class Events(RuleBasedStateMachine):
    """Three VMs of a scale set, and a model of what is scheduled for them."""

    def __init__(self) -> None:
        super().__init__()
        self.fleet = Fleet()
        self.hosts: list[Host] = [hosts.host(vm, fleet=self.fleet, seed=seed) for seed, vm in enumerate(VMS)]
        self.now = 0
        self.known: list[Expected] = []
        self.first_seen: dict[str, dict[str, Any]] = {}
        self.last_seen: tuple[int, Any] = (0, None)
        # There always is an event that something can be done to.
        self.schedule(event_type="Reboot", member=0, about=set(), notice_s=None, started=False)

    # What a test and its clients may do.

    @rule(
        event_type=st.sampled_from(list(TYPES)),
        member=MEMBERS,
        about=st.sets(MEMBERS),
        notice_s=NOTICES_S,
        started=st.booleans(),
    )
    def schedule(self, event_type: str, member: int, about: set[int], notice_s: int | None, started: bool) -> None:
        resources = [VMS[one] for one in sorted(about)] or None
        event = self.hosts[member].events.schedule(
            event_type, resources=resources, notice_s=None if started else notice_s, started=started
        )
        row = TYPES[event_type]
        due = self.now + (0 if started else row["notice_s"] if notice_s is None else notice_s)
        expected = Expected(event, due, row["impact_s"])
        if due == self.now:
            expected.starts(due)
        self.known.append(expected)

    @rule(seconds=STEPS_S)
    def advance(self, seconds: int) -> None:
        self.fleet.clock.advance(seconds)
        self.now += seconds
        for one in self.known:
            if one.state == "Scheduled" and self.now >= one.due:
                one.starts(one.due)
            if one.state == "Started" and self.now >= one.ends:
                one.state = "Completed"

    @rule(
        member=MEMBERS,
        places=st.lists(PLACES, min_size=1, max_size=3),
        written=st.sampled_from([str.upper, str.lower]),
        version=st.sampled_from(VERSIONS),
    )
    def approve(self, member: int, places: list[int], written: Callable[[str], str], version: str) -> None:
        chosen = [self.at(place) for place in places]
        assert self.post(member, [written(one.event.event_id) for one in chosen], version).status == 200
        for one in chosen:
            if one.state == "Scheduled":
                one.starts(self.now)

    @rule(member=MEMBERS, places=st.lists(PLACES, max_size=2))
    def approve_what_there_is_not(self, member: int, places: list[int]) -> None:
        ids = [self.at(place).event.event_id for place in places]
        assert self.post(member, [*ids, UNKNOWN_ID], NEWEST).status == 400

    @rule(
        member=MEMBERS,
        place=PLACES,
        payload=st.sampled_from(
            ["", "null", '["{}"]', '{{"StartRequests":["{}"]}}', '{{"StartRequests":[{{"EventId":"{}"}},{{}}]}}']
        ),
    )
    def send_nonsense(self, member: int, place: int, payload: str) -> None:
        sent = payload.format(self.at(place).event.event_id).encode()
        assert self.ask(member, "POST", NEWEST, sent).status == 400

    @rule(place=PLACES)
    def start(self, place: int) -> None:
        if self.done(self.at(place), "start", "Scheduled"):
            self.at(place).starts(self.now)

    @rule(place=PLACES)
    def cancel(self, place: int) -> None:
        if self.done(self.at(place), "cancel", "Scheduled"):
            self.at(place).state = "Canceled"

    @rule(place=PLACES)
    def complete(self, place: int) -> None:
        if self.done(self.at(place), "complete", "Started"):
            self.at(place).state = "Completed"

    # What holds at any time.

    @invariant()
    def every_vm_shows_the_same_and_what_the_model_has(self) -> None:
        bodies = [self.ask(member, "GET", NEWEST).body for member in range(len(VMS))]
        assert bodies[1:] == bodies[:-1]

        document = json.loads(bodies[0])
        shown = [(event["EventId"], event["EventStatus"]) for event in document["Events"]]
        assert shown == [(one.event.event_id, one.state) for one in self.known if one.state in ("Scheduled", "Started")]
        assert [one.event.status for one in self.known] == [one.state for one in self.known]
        self.incarnations_tell_changes(document["DocumentIncarnation"], document["Events"])
        for event in document["Events"]:
            self.is_well_formed(event)

    def incarnations_tell_changes(self, incarnation: int, events: list[dict[str, Any]]) -> None:
        last, seen = self.last_seen
        assert (incarnation > last) is (events != seen)
        assert incarnation >= last
        assert incarnation == self.fleet.standing().incarnation
        self.last_seen = (incarnation, events)

    def is_well_formed(self, event: dict[str, Any]) -> None:
        assert event["EventId"] == str(UUID(event["EventId"])).upper()
        assert (event["NotBefore"] == "") is (event["EventStatus"] == "Started")
        if event["NotBefore"]:
            assert parsedate_to_datetime(event["NotBefore"]).timestamp() > self.fleet.clock.time() - 1
        fixed = {name: event[name] for name in event if name not in ("EventStatus", "NotBefore")}
        assert self.first_seen.setdefault(event["EventId"], fixed) == fixed

    # How it is done.

    def at(self, place: int) -> Expected:
        return self.known[place % len(self.known)]

    def ask(self, member: int, method: str, version: str, body: bytes = b"") -> Reply:
        request = Request(method, "/metadata/scheduledevents", f"api-version={version}", {"metadata": "true"}, body)
        return handle(request, self.hosts[member])

    def post(self, member: int, event_ids: list[str], version: str) -> Reply:
        sent = {"StartRequests": [{"EventId": event_id} for event_id in event_ids]}
        return self.ask(member, "POST", version, json.dumps(sent).encode())

    def done(self, one: Expected, method: str, needed: str) -> bool:
        """Do it to the event; return whether that was possible, which the model must agree with."""
        try:
            getattr(one.event, method)()
        except ImdsUsageError:
            assert one.state != needed
            return False
        assert one.state == needed
        return True


TestEvents = Events.TestCase
TestEvents.settings = settings(
    deadline=None, max_examples=30, stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow]
)
