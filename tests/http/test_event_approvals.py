"""``POST /metadata/scheduledevents``: whoever approves an event starts it, and nothing else changes anything."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_imds import ImdsServer
from pytest_imds.factory import ServerFactory
from tests.http.events import NEWEST, PATH, TYPES, VERSIONS, approval, get, only, post, shown
from tests.http.wire import METADATA, error, fetch

SOME_ID = "B50B4A8D-2F5B-4D33-9C5B-8D4E0B6B5F10"
ACCEPTED = (200, "application/json; charset=utf-8", b"")


@pytest.mark.parametrize("event_type", TYPES)
def test_an_approved_event_starts(imds_server: ImdsServer, event_type: str) -> None:
    event = imds_server.events.schedule(event_type)

    assert post(imds_server, approval(event.event_id)).told == ACCEPTED
    assert shown(imds_server) == (3, [(event.event_id, "Started")])
    assert only(imds_server)["NotBefore"] == ""
    assert (event.status, event.approved) == ("Started", True)


def test_an_event_that_starts_by_itself_is_not_approved(imds_server: ImdsServer) -> None:
    event = imds_server.events.schedule("Preempt")
    imds_server.clock.advance(40)

    assert (event.status, event.approved) == ("Started", False)


@pytest.mark.parametrize("event_type", TYPES)
def test_an_approved_event_is_over_in_the_time_of_its_type(imds_server: ImdsServer, event_type: str) -> None:
    event = imds_server.events.schedule(event_type)
    post(imds_server, approval(event.event_id))
    imds_server.clock.advance(TYPES[event_type]["impact_s"] - 10)
    before = event.status
    imds_server.clock.advance(10)

    assert (before, event.status) == ("Started", "Completed")
    assert shown(imds_server) == (4, [])


def test_several_events_are_approved_at_once_and_no_other(imds_server: ImdsServer) -> None:
    first, second, third = (imds_server.events.schedule("Reboot") for _ in range(3))
    reply = post(imds_server, approval(third.event_id, first.event_id, first.event_id))

    assert reply.told == ACCEPTED
    assert shown(imds_server) == (
        6,
        [(first.event_id, "Started"), (second.event_id, "Scheduled"), (third.event_id, "Started")],
    )


def test_approving_nothing_changes_nothing(imds_server: ImdsServer) -> None:
    imds_server.events.schedule("Reboot")
    before = get(imds_server).body
    post(imds_server, approval())

    assert get(imds_server).body == before


@pytest.mark.parametrize(
    "content_type",
    [
        *(None, "", "nonsense", "application/json", "application/x-www-form-urlencoded"),
        *("multipart/form-data", "multipart/form-data; boundary=x", "text/plain; charset=utf-16"),
    ],
)
def test_any_content_type_will_do(imds_server: ImdsServer, content_type: str | None) -> None:
    event = imds_server.events.schedule("Freeze")
    headers = [*METADATA, *([] if content_type is None else [("Content-Type", content_type)])]

    assert post(imds_server, approval(event.event_id), headers=headers).told == ACCEPTED
    assert event.approved


@pytest.mark.parametrize(
    "rest",
    [
        {"DocumentIncarnation": "5"},
        {"DocumentIncarnation": 5},
        {"DocumentIncarnation": None},
        {"StartRequestsToo": [{"EventId": 5}]},
        {"eventId": SOME_ID},
    ],
    ids=str,
)
def test_other_members_are_not_looked_at(imds_server: ImdsServer, rest: dict[str, Any]) -> None:
    event = imds_server.events.schedule("Freeze")

    assert post(imds_server, approval(event.event_id, **rest)).told == ACCEPTED
    assert event.approved


def test_other_members_of_a_request_are_not_looked_at(imds_server: ImdsServer) -> None:
    event = imds_server.events.schedule("Freeze")
    sent = {"StartRequests": [{"Comment": [], "EventId": event.event_id, "EventStatus": "Completed"}]}

    assert post(imds_server, json.dumps(sent, indent=2).encode()).told == ACCEPTED
    assert event.status == "Started"


@pytest.mark.parametrize(
    "encoded",
    [
        lambda sent: b"\xef\xbb\xbf" + sent,
        lambda sent: b"\r\n\t " + sent + b"\n",
        lambda sent: sent.decode().encode("utf-16"),
    ],
    ids=["byte order mark", "white space", "utf-16"],
)
def test_json_may_be_written_in_any_way(imds_server: ImdsServer, encoded: Any) -> None:
    event = imds_server.events.schedule("Freeze")

    assert post(imds_server, encoded(approval(event.event_id))).told == ACCEPTED
    assert event.approved


def test_a_body_in_chunks_is_read(imds_server: ImdsServer) -> None:
    event = imds_server.events.schedule("Freeze")
    sent = approval(event.event_id)
    parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (sent[:7], sent[7:])) + b"0\r\n\r\n"
    headers = [*METADATA, ("Transfer-Encoding", "chunked")]

    assert get(imds_server, method="POST", headers=headers, body=parts).told == ACCEPTED
    assert event.approved


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("event_type", ["Freeze", "Terminate"])
def test_the_version_of_an_approval_need_not_be_that_of_the_document(
    imds_server: ImdsServer, event_type: str, version: str
) -> None:
    event = imds_server.events.schedule(event_type)

    assert post(imds_server, approval(only(imds_server)["EventId"]), version).told == ACCEPTED
    assert event.approved


def test_ids_are_taken_in_lower_case(imds_server: ImdsServer) -> None:
    event = imds_server.events.schedule("Freeze")

    assert post(imds_server, approval(event.event_id.lower())).told == ACCEPTED
    assert shown(imds_server) == (3, [(event.event_id, "Started")])


@pytest.mark.parametrize("step", ["start", "cancel", "complete", "approve"])
def test_an_event_that_has_started_or_is_gone_is_approved_in_vain(imds_server: ImdsServer, step: str) -> None:
    event = imds_server.events.schedule("Freeze", started=step == "complete")
    if step == "approve":
        post(imds_server, approval(event.event_id))
    else:
        getattr(event, step)()
    imds_server.clock.advance(100)
    before, status = get(imds_server).body, event.status

    assert post(imds_server, approval(event.event_id)).told == ACCEPTED
    assert get(imds_server).body == before
    assert (event.status, event.approved) == (status, step == "approve")
    # It does not run longer for that either.
    imds_server.clock.advance(200)
    assert shown(imds_server)[1] == []


def test_a_gone_event_does_not_hinder_the_approval_of_another(imds_server: ImdsServer) -> None:
    gone, waiting = imds_server.events.schedule("Freeze"), imds_server.events.schedule("Reboot")
    gone.cancel()

    assert post(imds_server, approval(gone.event_id, waiting.event_id)).told == ACCEPTED
    assert (gone.status, waiting.status) == ("Canceled", "Started")


def test_any_vm_of_a_fleet_approves_for_all(make_imds_server: ServerFactory) -> None:
    servers = make_imds_server("scale-set", count=3)
    event = servers[0].events.schedule("Reboot", resources=[server.vm for server in servers])

    assert [post(server, approval(event.event_id)).told for server in reversed(servers)] == [ACCEPTED] * 3
    assert [shown(server) for server in servers] == [(3, [(event.event_id, "Started")])] * 3


UNKNOWN = {
    "another id": SOME_ID,
    "no id at all": "five",
    "empty": "",
    "with white space": " {} ",
    "in braces": "{{{}}}",
    "without hyphens": "{}",
    "with a surrogate": "\ud800",
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_id_is_400_and_approves_nothing(imds_server: ImdsServer, name: str) -> None:
    event = imds_server.events.schedule("Freeze")
    known = event.event_id.replace("-", "") if name == "without hyphens" else event.event_id
    wrong = UNKNOWN[name].format(known)
    before = get(imds_server).body

    assert post(imds_server, approval(wrong)).told == error("events-unknown")
    assert post(imds_server, approval(event.event_id, wrong)).told == error("events-unknown")
    assert get(imds_server).body == before
    assert not event.approved


# Where {} stands, the id of an event goes.
MALFORMED = [
    "",
    " ",
    "StartRequests",
    "StartRequests=%7B%7D",
    "null",
    "true",
    "5",
    '"{}"',
    "[]",
    '[{{"EventId":"{}"}}]',
    "{{}}",
    '{{"EventId":"{}"}}',
    '{{"startrequests":[{{"EventId":"{}"}}]}}',
    '{{"StartRequests":null}}',
    '{{"StartRequests":"{}"}}',
    '{{"StartRequests":5}}',
    '{{"StartRequests":{{"EventId":"{}"}}}}',
    '{{"StartRequests":["{}"]}}',
    '{{"StartRequests":[null]}}',
    '{{"StartRequests":[[{{"EventId":"{}"}}]]}}',
    '{{"StartRequests":[{{}}]}}',
    '{{"StartRequests":[{{"EventID":"{}"}}]}}',
    '{{"StartRequests":[{{"eventId":"{}"}}]}}',
    '{{"StartRequests":[{{"EventId":null}}]}}',
    '{{"StartRequests":[{{"EventId":5}}]}}',
    '{{"StartRequests":[{{"EventId":["{}"]}}]}}',
    '{{"StartRequests":[{{"EventId":"{}"}},{{}}]}}',
    '{{"StartRequests":[{{"EventId":"{}"}},null]}}',
    '{{"StartRequests":[{{"EventId":"{}"}}]',
    '{{"StartRequests":[{{"EventId":"{}"}}]}}}}',
    '{{"StartRequests":[{{"EventId":"{}"}},]}}',
    "{{'StartRequests':[{{'EventId':'{}'}}]}}",
    '{{"StartRequests":[{{"EventId":"{}\n"}}]}}',
    '{{"StartRequests":' + "[" * 5000,
    '{{"StartRequests":' + "1" * 5000 + "}}",
]
NO_TEXT = [b"\x80", b"\xff\xfe{", b'{"StartRequests":[{"EventId":"\xff"}]}', b"\x00" * 9]


@pytest.mark.parametrize("payload", [*MALFORMED, *NO_TEXT], ids=lambda payload: ascii(payload)[:60])
def test_a_malformed_payload_is_400_and_changes_nothing(imds_server: ImdsServer, payload: str | bytes) -> None:
    event = imds_server.events.schedule("Freeze")
    sent = payload if isinstance(payload, bytes) else payload.format(event.event_id).encode()
    before = get(imds_server).body

    assert post(imds_server, sent).told == error("events-malformed")
    assert get(imds_server).body == before
    assert (event.status, event.approved) == ("Scheduled", False)


def test_a_post_without_a_body_is_400(imds_server: ImdsServer) -> None:
    assert fetch(imds_server, f"{PATH}?api-version={NEWEST}", method="POST").told == error("events-malformed")


def test_an_id_in_the_query_is_not_looked_at(imds_server: ImdsServer) -> None:
    event = imds_server.events.schedule("Freeze")

    assert post(imds_server, b"", f"{NEWEST}&EventId={event.event_id}").told == error("events-malformed")
    assert not event.approved


@pytest.mark.parametrize("body", ["{}", '{"DocumentIncarnation":2}', "é"])
def test_an_approval_is_answered_as_the_test_asks(imds_server: ImdsServer, body: str) -> None:
    event = imds_server.events.schedule("Freeze")
    imds_server.events.approval_body = body
    reply = post(imds_server, approval(event.event_id))

    assert reply.told == (200, "application/json; charset=utf-8", body.encode())
    assert reply.header("Content-Length") == str(len(body.encode()))
    assert post(imds_server, b"").told == error("events-malformed")
