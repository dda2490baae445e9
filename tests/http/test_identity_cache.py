"""Tokens as time goes by, and resources that the tenant does not have, over HTTP."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

import pytest

from pytest_imds import ImdsServer, ImdsUsageError, ServerFactory, Vm, data
from tests.http.wire import Reply, error, fetch

TOKEN = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource="
VAULT = "https://vault.azure.net"
DAY_S = data.read("identity")["lifetime"]["valid_s"]
UNKNOWN = error("identity-resource-unknown")
GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
HOSTILE = ['"}{"', "a\r\nTrace ID: x", "{tenant}{resource}", "\\", "\x00\x1f", "größe \N{GRINNING FACE}", "</script>'"]


def ask(server: ImdsServer, resource: str = VAULT, query: str = "") -> Reply:
    return fetch(server, f"{TOKEN}{quote(resource, safe='')}{query}")


def answered(server: ImdsServer, resource: str = VAULT, query: str = "") -> dict[str, Any]:
    reply = ask(server, resource, query)
    assert reply.status == 200, reply.body
    answer: dict[str, Any] = json.loads(reply.body)
    return answer


@pytest.mark.parametrize("passed", [1, 67, 43_200, DAY_S - 60])
def test_a_kept_token_is_the_same_and_has_less_time_left(imds_server: ImdsServer, passed: int) -> None:
    first = answered(imds_server)
    imds_server.clock.advance(passed)
    later = answered(imds_server)

    # The test itself may take a second.
    assert passed <= int(first.pop("expires_in")) - int(later.pop("expires_in")) <= passed + 5
    assert later == first


def test_a_token_that_has_expired_gives_way_to_a_new_one(imds_server: ImdsServer) -> None:
    first = answered(imds_server)
    imds_server.clock.advance(DAY_S)
    later = answered(imds_server)

    assert later["access_token"] != first["access_token"]
    assert later["expires_in"] == "86400"
    assert int(later["expires_on"]) - int(first["expires_on"]) in range(DAY_S, DAY_S + 5)


@pytest.mark.parametrize("days", [1, 2, 400])
def test_a_new_token_is_kept_as_the_first_was(imds_server: ImdsServer, days: int) -> None:
    answered(imds_server)
    imds_server.clock.advance(days * DAY_S)

    assert answered(imds_server)["access_token"] == answered(imds_server)["access_token"]


def test_time_left_is_never_zero(imds_server: ImdsServer) -> None:
    answered(imds_server)
    imds_server.clock.advance(DAY_S - 10)
    left = []
    for _ in range(15):
        left.append(int(answered(imds_server)["expires_in"]))
        imds_server.clock.advance(1)

    assert left[0] <= 10
    assert min(left) >= 1
    assert max(left) == DAY_S


def test_another_resource_gets_another_token(imds_server: ImdsServer) -> None:
    tokens = [answered(imds_server, resource)["access_token"] for resource in (VAULT, f"{VAULT}/", "https://x")]
    again = [answered(imds_server, resource)["access_token"] for resource in (VAULT, f"{VAULT}/", "https://x")]

    assert len(set(tokens)) == 3
    assert again == tokens


@pytest.mark.imds_vm(user_identities=2)
def test_another_identity_gets_another_token(imds_server: ImdsServer, imds_vm: Vm) -> None:
    by_name = [answered(imds_server, VAULT, f"&client_id={one.client_id}") for one in imds_vm.identities]

    assert len({answer["access_token"] for answer in by_name}) == 3
    assert answered(imds_server)["access_token"] == by_name[0]["access_token"]


@pytest.mark.imds_vm(user_identities=1)
def test_a_token_is_kept_for_the_identity_however_it_is_named(imds_server: ImdsServer, imds_vm: Vm) -> None:
    one = imds_vm.identities[1]
    names = {"client_id": one.client_id, "object_id": one.object_id.upper(), "msi_res_id": one.resource_id}

    tokens = {answered(imds_server, VAULT, f"&{name}={value}")["access_token"] for name, value in names.items()}
    assert len(tokens) == 1


def test_servers_keep_tokens_of_their_own(make_imds_server: ServerFactory) -> None:
    one, other = make_imds_server(seed=7), make_imds_server(seed=7, name="other")
    kept = answered(one)["access_token"]

    assert answered(other)["access_token"] != kept


def test_bypass_cache_gets_a_new_token_which_is_kept(imds_server: ImdsServer) -> None:
    first = answered(imds_server)
    imds_server.clock.advance(100)
    new = answered(imds_server, VAULT, "&bypass_cache=true")

    assert new["access_token"] != first["access_token"]
    assert new["expires_in"] == "86400"
    assert answered(imds_server)["access_token"] == new["access_token"]


def test_bypass_cache_gets_a_new_token_in_the_same_second(imds_server: ImdsServer) -> None:
    tokens = {answered(imds_server, VAULT, "&bypass_cache=true")["access_token"] for _ in range(3)}

    assert len(tokens) == 3


@pytest.mark.parametrize("value", ["false", "", "True", "1", "true%20", "%22"])
def test_bypass_cache_with_another_value_is_400_and_changes_nothing(imds_server: ImdsServer, value: str) -> None:
    kept = answered(imds_server)["access_token"]

    assert ask(imds_server, VAULT, f"&bypass_cache={value}").told == error("identity-bypass-cache")
    assert answered(imds_server)["access_token"] == kept


@pytest.mark.parametrize("resource", [VAULT, "https://x y", *HOSTILE])
def test_a_resource_that_the_tenant_does_not_have_gets_the_body_of_entra(
    imds_server: ImdsServer, imds_vm: Vm, resource: str
) -> None:
    imds_server.identity.unknown_resource(resource)
    reply = ask(imds_server, resource)
    body = json.loads(reply.body)

    assert reply.told[:2] == UNKNOWN[:2] == (400, "application/json; charset=utf-8")
    assert {name: type(value) for name, value in body.items()} == {
        "error": str,
        "error_description": str,
        "error_codes": list,
        "timestamp": str,
        "trace_id": str,
        "correlation_id": str,
        "error_uri": str,
    }
    assert list(body) == list(json.loads(UNKNOWN[2]))
    assert body["error"] == "invalid_resource"
    assert body["error_codes"] == [500011]
    said, trace, correlation, stamp = body["error_description"].rsplit("\r\n", 3)
    assert said.startswith(
        f"AADSTS500011: The resource principal named {resource} was not found in the tenant named {imds_vm.tenant_id}. "
    )
    assert (trace, correlation, stamp) == (
        f"Trace ID: {body['trace_id']}",
        f"Correlation ID: {body['correlation_id']}",
        f"Timestamp: {body['timestamp']}",
    )
    assert [bool(re.fullmatch(GUID, body[name])) for name in ("trace_id", "correlation_id")] == [True, True]
    assert body["error_uri"] == f"https://{imds_vm.location}.login.microsoft.com/error?code=500011"


def test_the_timestamp_is_the_time_of_the_service(imds_server: ImdsServer) -> None:
    imds_server.identity.unknown_resource(VAULT)
    imds_server.clock.advance(1_000_000)
    told = datetime.strptime(json.loads(ask(imds_server).body)["timestamp"], "%Y-%m-%d %H:%M:%SZ")

    assert abs(told.replace(tzinfo=timezone.utc).timestamp() - imds_server.clock.time()) < 5


def test_every_refusal_of_a_resource_has_ids_of_its_own(imds_server: ImdsServer) -> None:
    imds_server.identity.unknown_resource(VAULT)
    bodies = [json.loads(ask(imds_server).body) for _ in range(3)]

    assert len({body[name] for body in bodies for name in ("trace_id", "correlation_id")}) == 6


@pytest.mark.parametrize("unknown", [VAULT, f"{VAULT}/"])
@pytest.mark.parametrize("asked", [VAULT, f"{VAULT}/"])
def test_a_slash_at_the_end_does_not_make_a_resource_known(imds_server: ImdsServer, unknown: str, asked: str) -> None:
    imds_server.identity.unknown_resource(unknown)

    assert ask(imds_server, asked).status == 400


def test_the_other_resources_are_known_as_before(imds_server: ImdsServer) -> None:
    imds_server.identity.unknown_resource(VAULT, "https://x")

    assert ask(imds_server, "https://x").status == 400
    assert ask(imds_server, "https://management.azure.com").status == 200


def test_a_resource_of_which_there_was_a_token_is_refused_from_then_on(imds_server: ImdsServer) -> None:
    answered(imds_server)
    imds_server.identity.unknown_resource(VAULT)

    assert ask(imds_server).status == 400


@pytest.mark.imds_vm(identity=None)
def test_a_vm_without_identity_is_told_so_before_its_resource_is_looked_at(imds_server: ImdsServer) -> None:
    imds_server.identity.unknown_resource(VAULT)

    assert ask(imds_server).told == error("identity-not-found")


@pytest.mark.parametrize("wrong", ["", None, 1, [VAULT]])
def test_what_is_no_resource_is_refused(imds_server: ImdsServer, wrong: Any) -> None:
    with pytest.raises(ImdsUsageError, match="unknown_resource"):
        imds_server.identity.unknown_resource("https://x", wrong)

    assert ask(imds_server, "https://x").status == 200
