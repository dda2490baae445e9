"""Replies as they go out: documents, text, and the errors of the data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from email.utils import format_datetime
from functools import lru_cache
from typing import Any

from pytest_imds import data
from pytest_imds.guid import guid
from pytest_imds.host import Host
from pytest_imds.service import versions
from pytest_imds.service.endpoints import Endpoint
from pytest_imds.service.message import Reply, Request
from pytest_imds.tree import compact
from pytest_imds.trust.deliveries import Delivery

# Where a body says what was asked; JSON has braces of its own.
PLACE = re.compile(r"\{([a-z_]+)\}")


def json_text(host: Host, written: str) -> Reply:
    """Answer 200 with JSON that is written already."""
    return document(host, written, data.read("behaviour")["json-content-type"]["value"])


def text(host: Host, value: str) -> Reply:
    """Answer 200 with bare text."""
    return document(host, value, data.read("behaviour")["text-content-type"]["value"])


def document(host: Host, written: str, content_type: str) -> Reply:
    """Answer 200 with a document that is written already."""
    return _reply(host, "imds", 200, content_type, written.encode())


def refusal(request: Request, host: Host, endpoint: Endpoint, error_of_any: str) -> Reply:
    """Answer with an error of the gate, in the words of the endpoint or of the service's time."""
    name = endpoint.error(error_of_any)
    if request.parameters.get("format", "").lower() == "text":
        name = data.read("errors").get(name, {}).get("as_text", name)
    parameter = "format" if error_of_any == "format-unknown" else str(endpoint.version_parameter)
    return error(
        host,
        versions.era(host.newest).get(name, name),
        path=request.path,
        method=request.method,
        parameter=parameter,
        value=request.parameters.get(parameter, ""),
    )


def error(host: Host, name: str, **values: str) -> Reply:
    """Answer with the error ``name`` of ``fixtures_data/errors.json``, which has its source.

    Args:
        host: what answers.
        name: the key in the data.
        values: what goes into the bodies that have a place for it, by its name.
    """
    return recorded(host, data.read("errors")[name], **values)


def recorded(host: Host, row: Mapping[str, Any], **values: str) -> Reply:
    """Answer as a row of the data says; ``values`` are as for ``error``."""
    body = PLACE.sub(lambda place: _filled(place[1], host, values), row["body"])
    content = body.encode()
    reply = _reply(host, row["sender"], row["status"], row["content_type"], content, row.get("content_length"))
    return replace(reply, reason=row["reason"]) if "reason" in row else reply


def strange(host: Host, content_type: str, body: bytes) -> Reply:
    """Answer 200 with what IMDS does not say."""
    return _reply(host, "portal", 200, content_type, body)


def _filled(place: str, host: Host, values: Mapping[str, str]) -> str:
    if place == "newest_versions":
        count = data.read("api_versions")["newest_versions"]["count"]
        return compact(list(reversed(versions.supported(host.newest)[-count:])))
    return compact(values[place])[1:-1]  # it stands inside a JSON string


def delivery(host: Host, delivered: Delivery) -> Reply:
    """Answer with what other services than IMDS publish: issuers' certificates, the keys that sign tokens."""
    reply = _reply(host, delivered.sender, delivered.status, delivered.content_type, delivered.body())
    headers = (*reply.headers, *([("Location", delivered.location)] if delivered.location else []))
    return Reply(reply.status, headers, reply.body, delivered.silent_after)


@lru_cache(maxsize=16)
def _http_date(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, tz=timezone.utc), usegmt=True)


def _reply(
    host: Host, sender: str, status: int, content_type: str, body: bytes, content_length: int | None = None
) -> Reply:
    known = data.read("senders")[sender]
    values = {
        "Content-Type": content_type,
        "Server": known.get("server", ""),
        "x-ms-request-id": guid(host.random),
        "Date": _http_date(int(host.clock.time())),
        "Content-Length": str(len(body) if content_length is None else content_length),
    }
    values.update(known.get("fixed", {}))
    return Reply(status, tuple((name, values[name]) for name in known["headers"]), body)
