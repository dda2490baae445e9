"""The life of a scheduled event as clients see it, moved on by time, by approval, by a test; and which VMs see it."""

from __future__ import annotations

import pytest

from pytest_imds import ImdsServer, ImdsUsageError
from pytest_imds.factory import ServerFactory
from tests.http.events import NOTHING, TYPES, approval, document, get, only, post, shown
from tests.http.wire import error


@pytest.mark.parametrize("event_type", TYPES)
def test_time_takes_an_event_through_its_life(imds_server: ImdsServer, event_type: str) -> None:
    row = TYPES[event_type]
    event = imds_server.events.schedule(event_type)
    lives = [shown(imds_server)]
    for seconds in (row["notice_s"] - 10, 10, row["impact_s"] - 10, 10, 86400):
        imds_server.clock.advance(seconds)
        lives.append(shown(imds_server))

    scheduled, started = (2, [(event.event_id, "Scheduled")]), (3, [(event.event_id, "Started")])
    assert lives == [scheduled, scheduled, started, started, (4, []), (4, [])]
    assert event.status == "Completed"


def test_an_event_goes_the_way_of_the_documentation(imds_server: ImdsServer) -> None:
    lives = [shown(imds_server)]
    event = imds_server.events.schedule("Freeze")
    lives.append(shown(imds_server))
    assert post(imds_server, approval(event.event_id)).status == 200
    lives.append(shown(imds_server))
    assert only(imds_server)["NotBefore"] == ""
    imds_server.clock.advance(600)
    lives.append(shown(imds_server))

    assert lives == [(1, []), (2, [(event.event_id, "Scheduled")]), (3, [(event.event_id, "Started")]), (4, [])]


@pytest.mark.parametrize(
    ("steps", "left", "status", "incarnation"),
    [
        (["start"], ["Started"], "Started", 3),
        (["cancel"], [], "Canceled", 3),
        (["start", "complete"], [], "Completed", 4),
        (["approve", "complete"], [], "Completed", 4),
    ],
    ids=str,
)
def test_a_test_may_move_an_event_on(
    imds_server: ImdsServer, steps: list[str], left: list[str], status: str, incarnation: int
) -> None:
    event = imds_server.events.schedule("Reboot")
    for step in steps:
        if step == "approve":
            post(imds_server, approval(event.event_id))
        else:
            getattr(event, step)()

    assert shown(imds_server) == (incarnation, [(event.event_id, state) for state in left])
    assert (event.status, event.approved) == (status, "approve" in steps)


@pytest.mark.parametrize("before", ["", "start", "cancel", "complete"])
@pytest.mark.parametrize("step", ["start", "cancel", "complete"])
def test_a_step_at_the_wrong_moment_is_refused(imds_server: ImdsServer, before: str, step: str) -> None:
    event = imds_server.events.schedule("Reboot", started=before == "complete")
    if before:
        getattr(event, before)()
    needed = "Started" if step == "complete" else "Scheduled"
    standing = get(imds_server).body

    if event.status == needed:
        getattr(event, step)()
        assert get(imds_server).body != standing
    else:
        refused = (
            rf"^{step}\(\) of <Event Reboot {event.event_id} {event.status} {imds_server.vm.name}> is not possible"
        )
        with pytest.raises(
            ImdsUsageError, match=rf"{refused}: its status is {event.status}\.\n  right: while it is {needed}$"
        ):
            getattr(event, step)()
        assert get(imds_server).body == standing


def test_a_reply_may_be_empty(imds_server: ImdsServer) -> None:
    imds_server.events.schedule("Preempt")
    imds_server.events.empty_body = True

    assert get(imds_server).told == (200, "application/json; charset=utf-8", b"")
    assert post(imds_server, b"{").told == error("events-malformed")
    imds_server.events.empty_body = False
    assert only(imds_server)["EventType"] == "Preempt"


@pytest.mark.parametrize("profile", ["scale-set", "scale-set-flex", "linux"])
def test_the_vms_of_a_fleet_see_every_event_of_any_of_them(make_imds_server: ServerFactory, profile: str) -> None:
    servers = make_imds_server(profile, count=3)
    servers[0].events.schedule("Preempt", resources=[server.vm for server in servers[1:]])
    servers[2].events.schedule("Reboot")
    (first, *others) = [get(server).body for server in servers]

    assert others == [first, first]
    names = [event["Resources"] for event in document(servers[0])["Events"]]
    assert names == [[server.vm.name for server in servers[1:]], [servers[2].vm.name]]
    assert {server.events.incarnation for server in servers} == {3}


def test_vms_that_stand_alone_see_their_own_events(make_imds_server: ServerFactory, imds_server: ImdsServer) -> None:
    alone, (fleet, _) = make_imds_server("scale-set"), make_imds_server("scale-set", count=2)
    event = alone.events.schedule("Reboot")

    assert only(alone)["EventId"] == event.event_id
    assert [get(server).body for server in (imds_server, fleet)] == [NOTHING, NOTHING]
    assert post(fleet, approval(event.event_id)).told == error("events-unknown")
    assert event.status == "Scheduled"
