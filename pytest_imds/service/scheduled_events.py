"""``/metadata/scheduledevents``: coming maintenance, and its approval."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any

from pytest_imds import data
from pytest_imds.events.lifecycle import SCHEDULED, Course
from pytest_imds.host import Host
from pytest_imds.service import replies
from pytest_imds.service.message import Later, Reply, Request
from pytest_imds.tree import compact


def answer(request: Request, host: Host) -> Reply:
    """Answer ``/metadata/scheduledevents``: a GET with the events, a POST by approving some.

    Source: ``fixtures_data/events.json``.
    """
    if request.method == "POST":
        return _approve(request, host)
    version, ready = request.parameters["api-version"], host.events.answers_from()
    if ready > host.clock.time():
        return Reply(200, (), later=Later(ready, lambda: _shown(version, host)))
    return _shown(version, host)


def _shown(version: str, host: Host) -> Reply:
    if host.events.empty_body:
        return replies.json_text(host, "")
    return replies.json_text(host, compact(host.events.document(_shape(version))))


def _approve(request: Request, host: Host) -> Reply:
    wanted = _start_requests(request.body)
    if wanted is None:
        return replies.error(host, "events-malformed")
    if not host.events.approve(wanted):
        return replies.error(host, "events-unknown")
    return replies.json_text(host, host.events.approval_body)


def _start_requests(body: bytes) -> list[str] | None:
    """Return the ids that are approved, or None if the body is malformed."""
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        return None
    requests = sent.get("StartRequests") if isinstance(sent, dict) else None
    if not isinstance(requests, list):
        return None
    wanted = [one.get("EventId") if isinstance(one, dict) else None for one in requests]
    ids = [event_id for event_id in wanted if isinstance(event_id, str)]
    return ids if len(ids) == len(wanted) else None


def _shape(version: str) -> Callable[[Course, str], dict[str, Any] | None]:
    """Return what shows an event as ``version`` does; it gives None for a type that came later."""
    known = data.read("events")
    prefix = known["resources"]["prefix"].get(version, "")

    def shape(course: Course, status: str) -> dict[str, Any] | None:
        plan = course.plan
        if version < known["types"]["by_type"][plan.event_type]["since"]:
            return None
        members = {
            "EventId": plan.event_id,
            "EventStatus": status,
            "EventType": plan.event_type,
            "ResourceType": known["resource-type"]["value"],
            "Resources": [f"{prefix}{name}" for name in plan.resources],
            "NotBefore": _http_date(plan.due) if status == SCHEDULED else "",
            "Description": plan.description,
            "EventSource": plan.source,
            "DurationInSeconds": plan.duration_s,
        }
        return {name: members[name] for name, since in known["document"]["members"].items() if since <= version}

    return shape


def _http_date(second: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(second), timezone.utc), usegmt=True)
