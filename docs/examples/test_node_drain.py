"""A node of a cluster drains itself when it is told that it will be taken away, and says when it is ready.

The client is requests.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from pytest_imds import ImdsServer, ServerFactory

EVENTS = {"api-version": "2020-07-01"}
NAME = {"api-version": "2021-02-01", "format": "text"}


class Drainer:
    """The code under test; something else calls ``look`` once a second."""

    def __init__(self, imds: str, drain: Callable[[], None]) -> None:
        self.imds = imds
        self.drain = drain
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Metadata"] = "true"

    def look(self) -> None:
        """Drain, and approve, if this node is to be taken away."""
        mine = [event for event in self.events() if self.name() in event["Resources"]]
        leaving = [event["EventId"] for event in mine if event["EventType"] in ("Preempt", "Terminate", "Redeploy")]
        if leaving:
            self.drain()
            approvals = {"StartRequests": [{"EventId": event_id} for event_id in leaving]}
            reply = self.session.post(f"{self.imds}/metadata/scheduledevents", params=EVENTS, json=approvals, timeout=5)
            reply.raise_for_status()

    def events(self) -> list[dict[str, Any]]:
        reply = self.session.get(f"{self.imds}/metadata/scheduledevents", params=EVENTS, timeout=5)
        reply.raise_for_status()
        return [event for event in reply.json()["Events"] if event["EventStatus"] == "Scheduled"]

    def name(self) -> str:
        reply = self.session.get(f"{self.imds}/metadata/instance/compute/name", params=NAME, timeout=5)
        reply.raise_for_status()
        return reply.text


@pytest.mark.imds_vm("spot")
def test_a_preempted_node_drains_and_approves(imds_server: ImdsServer) -> None:
    # Catches a client that posts what the service does not understand: it would be taken away undrained.
    drained: list[str] = []
    event = imds_server.events.schedule("Preempt")
    Drainer(imds_server.url, lambda: drained.append(event.status)).look()
    assert drained == ["Scheduled"]
    assert (event.status, event.approved) == ("Started", True)


def test_a_started_event_is_no_reason_to_drain(imds_server: ImdsServer) -> None:
    # Catches a client that drains again at each look, for as long as the event is shown.
    drained: list[str] = []
    drainer = Drainer(imds_server.url, lambda: drained.append("drained"))
    imds_server.events.schedule("Preempt")
    drainer.look()
    drainer.look()
    imds_server.clock.advance(24 * 3600)
    drainer.look()
    assert drained == ["drained"]


def test_the_event_of_another_node_is_left_alone(make_imds_server: ServerFactory) -> None:
    # Catches a client that does not look whom an event is about: every node of a scale set sees it.
    mine, other, third = make_imds_server("scale-set", count=3)
    event = mine.events.schedule("Preempt", resources=[other.vm, third.vm])
    Drainer(mine.url, lambda: pytest.fail("drained for the event of another node")).look()
    assert event.status == "Scheduled"


def test_a_node_that_cannot_drain_does_not_approve(imds_server: ImdsServer) -> None:
    # Catches a client that approves first: the 30 seconds that are left would be gone.
    event = imds_server.events.schedule("Preempt")

    def stuck() -> None:
        raise RuntimeError("a pod does not stop")

    with pytest.raises(RuntimeError, match="does not stop"):
        Drainer(imds_server.url, stuck).look()
    assert (event.status, event.approved) == ("Scheduled", False)
    imds_server.clock.advance(30)
    assert (event.status, event.approved) == ("Started", False)


@pytest.mark.usefixtures("imds_clock")
def test_a_node_has_30_seconds_to_drain(imds_server: ImdsServer) -> None:
    # Catches a client that looks too rarely: once a minute would be too late.
    event = imds_server.events.schedule("Preempt")
    drainer = Drainer(imds_server.url, lambda: time.sleep(20))
    while not event.approved and event.status == "Scheduled":
        time.sleep(1)
        drainer.look()
    assert event.approved


@pytest.mark.usefixtures("imds_clock")
def test_a_drain_that_takes_a_minute_is_cut_short(imds_server: ImdsServer) -> None:
    # Catches a client that drains at leisure: after 30 seconds the node is gone, drained or not.
    seen: list[str] = []
    event = imds_server.events.schedule("Preempt")

    def drain() -> None:
        for _ in range(6):
            time.sleep(10)
            seen.append(event.status)

    Drainer(imds_server.url, drain).look()
    assert seen == ["Scheduled", "Scheduled", "Started", "Started", "Started", "Started"]


def test_a_short_pause_is_no_reason_to_drain(imds_server: ImdsServer) -> None:
    # Catches a client that takes every event for the end: a Freeze lasts a few seconds.
    event = imds_server.events.schedule("Freeze")
    Drainer(imds_server.url, lambda: pytest.fail("drained for a pause")).look()
    assert event.status == "Scheduled"
