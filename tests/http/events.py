"""A client of ``/metadata/scheduledevents``, and what the data knows of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pytest_imds import ImdsServer, data
from tests.http.wire import METADATA, Reply, fetch

PATH = "/metadata/scheduledevents"
EVENTS: dict[str, Any] = data.read("events")
TYPES: dict[str, dict[str, Any]] = EVENTS["types"]["by_type"]
VERSIONS: list[str] = data.read("endpoints")["scheduledevents"]["versions"]
PREVIEW, NEWEST = VERSIONS[0], VERSIONS[-1]
NOTHING = b'{"DocumentIncarnation":1,"Events":[]}'
# The headers of a client that says nothing of what it sends.
Headers = Iterable[tuple[str, str]]


def get(server: ImdsServer, version: str = NEWEST, **how: Any) -> Reply:
    return fetch(server, f"{PATH}?api-version={version}", **how)


def post(server: ImdsServer, body: bytes, version: str = NEWEST, headers: Headers = METADATA) -> Reply:
    sent = [*headers, ("Content-Length", str(len(body)))]
    return get(server, version, method="POST", headers=sent, body=body)


def approval(*event_ids: str, **rest: Any) -> bytes:
    """The payload that approves these events."""
    return json.dumps({"StartRequests": [{"EventId": event_id} for event_id in event_ids], **rest}).encode()


def document(server: ImdsServer, version: str = NEWEST) -> Any:
    reply = get(server, version)
    assert reply.status == 200, reply
    return json.loads(reply.body)


def only(server: ImdsServer, version: str = NEWEST) -> dict[str, Any]:
    """The one event that is shown."""
    (event,) = document(server, version)["Events"]
    assert isinstance(event, dict)
    return event


def shown(server: ImdsServer) -> tuple[int, list[tuple[str, str]]]:
    """The incarnation, and the ids and states of what is shown."""
    told = document(server)
    return told["DocumentIncarnation"], [(event["EventId"], event["EventStatus"]) for event in told["Events"]]
