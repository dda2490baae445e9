"""Replies as they go out: documents, text, and the errors of the data."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import format_datetime
from functools import lru_cache
from typing import Any

from pytest_imds import data
from pytest_imds.guid import guid
from pytest_imds.host import Host
from pytest_imds.service.message import Reply
from pytest_imds.tree import compact
from pytest_imds.trust.deliveries import Delivery


def json_text(host: Host, written: str) -> Reply:
    """Answer 200 with JSON that is written already."""
    return _reply(host, "imds", 200, _content_type("json"), written.encode())


def text(host: Host, value: str) -> Reply:
    """Answer 200 with bare text."""
    return _reply(host, "imds", 200, _content_type("text"), value.encode())


def error(host: Host, name: str, newest_versions: list[str] | None = None) -> Reply:
    """Answer with the error ``name`` of ``fixtures_data/errors.json``, which has its source.

    Args:
        host: what answers.
        name: the key in the data.
        newest_versions: what goes into the bodies that name them.
    """
    row: dict[str, Any] = data.read("errors")[name]
    body = row["body"]
    if newest_versions is not None:
        body = body.replace("{newest_versions}", compact(list(newest_versions)))
    content = body.encode()
    return _reply(host, row["sender"], row["status"], row["content_type"], content, row.get("content_length"))


def delivery(host: Host, delivered: Delivery) -> Reply:
    """Answer with an issuer's certificate, or what a test put in its place."""
    reply = _reply(host, "issuer-certificates", delivered.status, delivered.content_type, delivered.body())
    headers = (*reply.headers, *([("Location", delivered.location)] if delivered.location else []))
    return Reply(reply.status, headers, reply.body, delivered.silent_after)


@lru_cache(maxsize=16)
def _http_date(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, tz=timezone.utc), usegmt=True)


def _content_type(kind: str) -> str:
    return str(data.read("behaviour")[f"{kind}-content-type"]["value"])


def _reply(
    host: Host, sender: str, status: int, content_type: str, body: bytes, content_length: int | None = None
) -> Reply:
    known = data.read("senders")[sender]
    values = {
        "Content-Type": content_type,
        "Server": known["server"],
        "x-ms-request-id": guid(host.random),
        "Date": _http_date(int(host.clock.time())),
        "Content-Length": str(len(body) if content_length is None else content_length),
    }
    return Reply(status, tuple((name, values[name]) for name in known["headers"]), body)
