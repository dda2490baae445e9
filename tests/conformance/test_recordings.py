"""What real machines answered, and what we answer to the same request."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_imds import ImdsServer
from pytest_imds.shared import Shared

RECORDINGS: dict[str, list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("recordings.json").read_text(encoding="utf-8")
)
TIMEOUT_S = 5
# One key for all the tokens that are asked for here.
SHARED = Shared()
TYPES = {str: "string", bool: "boolean", int: "integer"}


class Answer(NamedTuple):
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes


def ask(server: ImdsServer, recording: dict[str, Any]) -> Answer:
    connection = HTTPConnection(server.host, server.port, timeout=TIMEOUT_S)
    headers = {"Metadata": "true"} if recording.get("metadata", True) else {}
    try:
        connection.request(recording.get("method", "GET"), recording["target"], headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.reason, response.getheaders(), response.read())
    finally:
        connection.close()


def recorded(kind: str) -> pytest.MarkDecorator:
    rows = RECORDINGS[kind]
    return pytest.mark.parametrize("recording", rows, ids=[row["name"] for row in rows])


def shape(node: Any, parent: str = "") -> Iterator[tuple[str, str]]:
    """The path and the JSON type of everything below ``node``, in the order of the document."""
    for key, value in node.items() if isinstance(node, dict) else ():
        path = f"{parent}{key}"
        if isinstance(value, list):
            yield f"{path}[]", "array"
            for item in value:
                yield from shape(item, f"{path}[].")
        elif isinstance(value, dict):
            yield path, "object"
            yield from shape(value, f"{path}.")
        else:
            yield path, "empty string" if value == "" else TYPES[type(value)]


@recorded("documents")
def test_a_document_has_the_recorded_keys_types_and_order(recording: dict[str, Any]) -> None:
    with ImdsServer(**recording["vm"]) as server:
        answer = ask(server, recording)

    assert answer.status == recording["status"]
    assert list(shape(json.loads(answer.body))) == list(recording["fields"].items())


@recorded("documents")
def test_a_document_is_compact_and_has_no_final_newline(recording: dict[str, Any]) -> None:
    with ImdsServer(**recording["vm"]) as server:
        body = ask(server, recording).body

    assert body == json.dumps(json.loads(body), separators=(",", ":")).encode()


def test_a_document_has_the_recorded_number_of_bytes() -> None:
    (recording,) = [row for row in RECORDINGS["documents"] if "bytes" in row]
    with ImdsServer(**recording["vm"]) as server:
        # Addresses of the length of the recorded ones.
        (interface,) = server.vm.interfaces
        interface.ipv4.ip_addresses[0].private_ip_address = "10.1.2.4"
        interface.ipv4.subnets[0].address = "10.1.2.0"
        answer = ask(server, recording)

    assert len(answer.body) == recording["bytes"]


@recorded("errors")
def test_a_refusal_is_the_recorded_one_byte_for_byte(recording: dict[str, Any]) -> None:
    with ImdsServer(newest=recording.get("newest"), **recording.get("vm", {})) as server:
        answer = ask(server, recording)

    assert answer.body.decode() == recording["body"]
    assert len(answer.body) == recording.get("bytes", len(answer.body))
    assert recording["status"] in (answer.status, None)


def values(node: Any, parent: str = "") -> Iterator[tuple[str, str]]:
    """The path and the value of every string and number below ``node``, as text."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from values(value, f"{parent}.{key}".removeprefix("."))
    elif isinstance(node, list):
        for item in node:
            yield from values(item, f"{parent}[]")
    else:
        yield parent, str(node)


def assert_has_recorded_values(document: Any, recording: dict[str, Any]) -> None:
    ours = list(values(document))
    assert recording["values"].keys() <= {path for path, _ in ours}
    for path, value in ours:
        assert re.fullmatch(recording["values"].get(path, "(?s).*"), value), (path, value)


@recorded("load balancers")
def test_a_load_balancer_has_the_recorded_members_types_and_order(recording: dict[str, Any]) -> None:
    with ImdsServer(**recording["vm"]) as server:
        server.vm.load_balancer.outbound_rules.clear()
        answer = ask(server, recording)
    document = json.loads(answer.body)

    assert answer.status == recording["status"]
    # The rules are alike: what the second has is what the first has.
    assert list(dict.fromkeys(shape(document))) == list(recording["fields"].items())
    assert {name: len(items) for name, items in document["loadbalancer"].items()} == recording["items"]
    assert_has_recorded_values(document, recording)


@recorded("scheduled events")
def test_scheduled_events_have_the_recorded_members_types_order_and_bytes(recording: dict[str, Any]) -> None:
    with ImdsServer("scale-set") as server:
        server.events.schedule(**recording["event"])
        answer = ask(server, recording)
    document = json.loads(answer.body)

    assert (answer.status, len(answer.body)) == (recording["status"], recording["bytes"])
    assert list(shape(document)) == list(recording["fields"].items())
    assert_has_recorded_values(document, recording)


@recorded("headers")
def test_headers_are_the_recorded_ones_in_their_order(recording: dict[str, Any]) -> None:
    with ImdsServer(shared=SHARED, **recording.get("vm", {})) as server:
        answer = ask(server, recording)
    headers = [(name, value) for name, value in answer.headers if name not in recording.get("later", ())]
    order = list if recording.get("ordered", True) else sorted

    assert (answer.status, answer.reason) == (recording["status"], recording["reason"])
    assert order(name for name, _ in headers) == order(recording["headers"])
    for name, value in headers:
        assert re.fullmatch(recording["headers"][name], value), (name, value)


@recorded("headers")
def test_the_body_is_as_long_as_the_headers_say(recording: dict[str, Any]) -> None:
    with ImdsServer(shared=SHARED, **recording.get("vm", {})) as server:
        answer = ask(server, recording)

    length = int(dict(answer.headers)["Content-Length"])
    assert len(answer.body) == (0 if recording["method"] == "HEAD" else length)


@pytest.mark.parametrize("kind", sorted(RECORDINGS.keys() - {"_about"}))
def test_every_recording_names_its_source(kind: str) -> None:
    for recording in RECORDINGS[kind]:
        assert recording["evidence"] in ("observed", "docs"), recording["name"]
        assert recording["source"], recording["name"]
