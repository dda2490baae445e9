"""Rows of ``errors.json`` and ``foreign.json``, as replies of the service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_imds import data
from pytest_imds.service.message import Reply

SENDERS: Mapping[str, Any] = data.read("senders")
# Where a body says what was asked: what goes there is for the tests of the endpoints.
PLACES = re.compile(r"\\{[a-z_]+\\}")


def assert_is(reply: Reply, row: Mapping[str, Any], body: str | None = None) -> None:
    """Check that a reply is what a row says, from whom it says; ``body`` if it is not as it stands there."""
    headers, sender = dict(reply.headers), SENDERS[row["sender"]]
    expected = PLACES.sub(".*", re.escape(row["body"] if body is None else body))
    assert (reply.status, reply.reason) == (row["status"], row.get("reason", ""))
    assert re.fullmatch(expected, reply.body.decode()), reply.body
    assert list(headers) == sender["headers"]
    assert headers["Content-Type"] == row["content_type"]
    assert headers["Content-Length"] == str(row.get("content_length", len(reply.body)))
    assert headers.get("Server") == sender.get("server")
    assert sender.get("fixed", {}).items() <= headers.items()
