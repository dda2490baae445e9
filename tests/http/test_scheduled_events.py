"""``/metadata/scheduledevents``: what each api-version shows, what an event may be, what is refused."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest

from pytest_imds import ImdsServer, ImdsUsageError, Vm
from tests.http.events import (
    EVENTS,
    NEWEST,
    NOTHING,
    PATH,
    PREVIEW,
    TYPES,
    VERSIONS,
    approval,
    document,
    get,
    only,
    post,
)
from tests.http.wire import METADATA, api_versions, error, fetch

MEMBERS: dict[str, str] = EVENTS["document"]["members"]


def test_before_anything_happens_the_document_is_empty(imds_server: ImdsServer) -> None:
    reply, instance = get(imds_server), fetch(imds_server, "/metadata/versions")

    assert reply.told == (200, "application/json; charset=utf-8", NOTHING)
    assert [name for name, _ in reply.headers] == [name for name, _ in instance.headers]


def test_an_event_is_shown_to_the_byte(imds_server: ImdsServer, imds_vm: Vm) -> None:
    event = imds_server.events.schedule("Freeze")
    not_before = formatdate(event.not_before.timestamp(), usegmt=True)

    assert get(imds_server).body.decode() == (
        f'{{"DocumentIncarnation":2,"Events":[{{"EventId":"{event.event_id}","EventStatus":"Scheduled"'
        f',"EventType":"Freeze","ResourceType":"VirtualMachine","Resources":["{imds_vm.name}"]'
        f',"NotBefore":"{not_before}","Description":"Virtual machine is being paused because of a memory-preserving'
        ' Live Migration operation.","EventSource":"Platform","DurationInSeconds":5}]}'
    )
    assert event.event_id == event.event_id.upper()


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_has_the_members_of_its_time(imds_server: ImdsServer, imds_vm: Vm, version: str) -> None:
    imds_server.events.schedule("Reboot", source="User", duration_s=9)
    event = only(imds_server, version)

    assert list(event) == [member for member, since in MEMBERS.items() if since <= version]
    assert event["Resources"] == [f"_{imds_vm.name}" if version == PREVIEW else imds_vm.name]
    assert [type(value) for value in document(imds_server, version).values()] == [int, list]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("event_type", TYPES)
def test_versions_show_the_types_of_their_time(imds_server: ImdsServer, event_type: str, version: str) -> None:
    imds_server.events.schedule(event_type)
    seen = [event["EventType"] for event in document(imds_server, version)["Events"]]

    assert seen == ([event_type] if TYPES[event_type]["since"] <= version else [])


@pytest.mark.parametrize("version", VERSIONS)
def test_the_preview_alone_needs_no_metadata_header(imds_server: ImdsServer, version: str) -> None:
    replies = [get(imds_server, version, headers=[]), post(imds_server, approval(), version, headers=[])]

    if version == PREVIEW:
        assert [reply.status for reply in replies] == [200, 200]
    else:
        assert [reply.told for reply in replies] == [error("header-missing")] * 2


@pytest.mark.parametrize("value", ["true", "True", "TRUE"])
def test_the_header_is_taken_in_any_case(imds_server: ImdsServer, value: str) -> None:
    assert get(imds_server, headers=[("metadata", value)]).body == NOTHING
    assert get(imds_server, headers=[("Metadata", "false")]).told == error("header-missing")


@pytest.mark.parametrize("query", ["format=json", "format=JSON", "cid=4a5f"])
def test_format_and_unknown_parameters_are_accepted(imds_server: ImdsServer, query: str) -> None:
    assert get(imds_server, f"{NEWEST}&{query}").body == NOTHING
    assert post(imds_server, approval(), f"{NEWEST}&{query}").status == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("query", ["", "?", "?api-version", "?api-version=", "?format=json"])
def test_a_missing_version_is_400(imds_server: ImdsServer, query: str, method: str) -> None:
    refused = error("version-invalid", api_versions()[:-4:-1])
    assert fetch(imds_server, PATH + query, method=method).told == refused


# The service has other versions than this path, and those of this path are dates of its own.
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("version", ["latest", "2017-04-02", "2021-02-01", "2017-12-01", "2020-07-02", "2020-7-1", "1"])
def test_an_unsupported_version_is_refused(imds_server: ImdsServer, version: str, method: str) -> None:
    assert get(imds_server, version, method=method).told == error("events-version-unsupported")


@pytest.mark.imds(newest="2019-06-01")
def test_an_earlier_service_has_the_versions_of_its_time(imds_server: ImdsServer) -> None:
    known = [version for version in VERSIONS if get(imds_server, version).status == 200]
    assert known == [version for version in VERSIONS if version <= "2019-06-01"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_verbs_than_get_and_post_are_405(imds_server: ImdsServer, method: str) -> None:
    assert get(imds_server, method=method).told == error("method")


@pytest.mark.parametrize(
    ("target", "how", "name"),
    [
        (f"{PATH}?api-version={NEWEST}", {"headers": [*METADATA, ("X-Forwarded-For", "10.0.0.1")]}, "forwarded"),
        (f"{PATH}?api-version={NEWEST}&api-version={NEWEST}", {}, "parameter-repeated"),
        (f"{PATH}/events?api-version={NEWEST}", {}, "element-missing"),
        (f"{PATH}?api-version={NEWEST}&format=xml", {}, "format-unknown"),
        (
            f"{PATH}?api-version={NEWEST}",
            {"headers": [*METADATA, ("Content-Length", "1")], "body": b"x"},
            "body-with-get",
        ),
        (f"{PATH}?api-version={NEWEST}", {"method": "HEAD"}, "head"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isalpha() else "",
)
def test_the_rules_of_the_service_hold_here_too(
    imds_server: ImdsServer, target: str, how: dict[str, Any], name: str
) -> None:
    assert fetch(imds_server, target, **how).told == error(name)


@pytest.mark.parametrize("event_type", TYPES)
def test_a_type_has_its_notice_source_description_and_duration(imds_server: ImdsServer, event_type: str) -> None:
    row = TYPES[event_type]
    before = int(imds_server.clock.time())
    event = imds_server.events.schedule(event_type)
    told = only(imds_server)

    assert before + row["notice_s"] <= event.not_before.timestamp() <= imds_server.clock.time() + row["notice_s"]
    assert told["NotBefore"] == formatdate(event.not_before.timestamp(), usegmt=True)
    others = (told["EventSource"], told["Description"], told["DurationInSeconds"])
    assert others == (row["source"], row["descriptions"][row["source"]], row["duration_s"])


@pytest.mark.parametrize("source", ["Platform", "User"])
@pytest.mark.parametrize("event_type", TYPES)
def test_the_description_goes_by_the_source(imds_server: ImdsServer, event_type: str, source: str) -> None:
    imds_server.events.schedule(event_type, source=source)

    told = only(imds_server)
    assert (told["EventSource"], told["Description"]) == (source, TYPES[event_type]["descriptions"][source])


def test_an_event_is_as_it_is_asked_for(imds_server: ImdsServer, imds_vm: Vm) -> None:
    event = imds_server.events.schedule(
        "Redeploy",
        resources=[imds_vm, "web_3"],
        notice_s=7 * 86400,
        source="User",
        description="Größe ändern",
        duration_s=0,
    )
    told = only(imds_server)

    assert told["Resources"] == [imds_vm.name, "web_3"] == list(event.resources)
    assert (told["EventSource"], told["Description"], told["DurationInSeconds"]) == ("User", "Größe ändern", 0)
    assert event.not_before.timestamp() - imds_server.clock.time() == pytest.approx(7 * 86400, abs=2)
    assert (event.event_type, event.event_id) == (told["EventType"], told["EventId"]) == ("Redeploy", event.event_id)


@pytest.mark.parametrize("event_type", TYPES)
def test_an_event_may_come_without_notice(imds_server: ImdsServer, event_type: str) -> None:
    event = imds_server.events.schedule(event_type, started=True)
    told = only(imds_server)

    assert (told["EventStatus"], told["NotBefore"]) == ("Started", "")
    assert told["Description"] == TYPES[event_type]["failure"]
    assert (imds_server.events.incarnation, event.status, event.approved) == (2, "Started", False)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"event_type": "Preemt"}, "did you mean 'Preempt'"),
        ({"event_type": "freeze"}, "did you mean 'Freeze'"),
        ({"event_type": None}, "unknown event type None"),
        ({"event_type": ["Freeze"]}, "unknown event type"),
        ({"source": "platform"}, "did you mean 'Platform'"),
        ({"notice_s": -1}, "notice_s cannot be -1"),
        ({"notice_s": 30, "started": True}, "what starts at once is not announced"),
        ({"notice_s": "30"}, "notice_s cannot be '30'"),
        ({"notice_s": 1e12}, "notice_s cannot be"),
        ({"duration_s": -2}, "duration_s cannot be -2"),
        ({"duration_s": True}, "duration_s cannot be True"),
        ({"duration_s": 1.5}, "duration_s cannot be 1.5"),
        ({"description": 5}, "description cannot be 5"),
        ({"resources": []}, "a list of VMs or of their names"),
        ({"resources": "web_3"}, "a list of VMs or of their names"),
        ({"resources": ["web_3", 5]}, "a list of VMs or of their names"),
        ({"resources": [""]}, "a list of VMs or of their names"),
        ({"resources": 5}, "a list of VMs or of their names"),
    ],
    ids=str,
)
def test_an_event_that_there_is_not_is_refused(imds_server: ImdsServer, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ImdsUsageError, match=told):
        imds_server.events.schedule(**{"event_type": "Freeze", **wrong})

    assert get(imds_server).body == NOTHING
