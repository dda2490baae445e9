"""What real machines said of their identities, and what ours say: replies, and what is in the tokens."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from typing import Any

from pytest_imds import ImdsServer
from tests.conformance.test_recordings import SHARED, TYPES, ask, assert_has_recorded_values, recorded, shape


def opened(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the claims of a token, in their order."""
    header, claims, _ = (part + "=" * (-len(part) % 4) for part in token.split("."))
    return json.loads(urlsafe_b64decode(header)), json.loads(urlsafe_b64decode(claims))


@recorded("token replies")
def test_a_reply_has_the_recorded_members_types_and_order(recording: dict[str, Any]) -> None:
    with ImdsServer(shared=SHARED) as server:
        answer = ask(server, recording)
    document = json.loads(answer.body)

    assert answer.status == recording["status"]
    assert list(shape(document)) == list(recording["fields"].items())
    assert len(answer.body) == recording.get("bytes", len(answer.body))
    assert_has_recorded_values(document, recording)
    if "valid_s" in recording:
        assert int(document["expires_on"]) - int(document["not_before"]) == recording["valid_s"]


@recorded("tokens")
def test_a_token_has_the_recorded_header(recording: dict[str, Any]) -> None:
    with ImdsServer(shared=SHARED, **recording["vm"]) as server:
        header, _ = opened(json.loads(ask(server, recording).body)["access_token"])

    assert list(header) == list(recording["header"])
    assert [name for name, value in header.items() if not re.fullmatch(recording["header"][name], value)] == []
    assert header["x5t"] == header["kid"]


@recorded("tokens")
def test_a_token_has_the_recorded_claims(recording: dict[str, Any]) -> None:
    with ImdsServer(shared=SHARED, **recording["vm"]) as server:
        reply = json.loads(ask(server, recording).body)
    _, claims = opened(reply["access_token"])

    assert {name: TYPES[type(value)] for name, value in claims.items()} == recording["fields"]
    assert_has_recorded_values(claims, recording)
    assert [pair for pair in recording["same"] if claims[pair[0]] != claims[pair[1]]] == []
    assert claims["exp"] - claims["iat"] == recording["valid_s"]
    assert (claims["appid"], claims["exp"]) == (reply["client_id"], int(reply["expires_on"]))
