"""``/metadata/identity``: tokens of managed identities and the tenant, over HTTP, byte for byte."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import combinations
from typing import Any
from urllib.parse import quote

import pytest

from pytest_imds import Identity, ImdsServer, ServerFactory, Vm, data
from tests.every import every
from tests.http.wire import METADATA, Reply, api_versions, error, fetch

TOKEN = "/metadata/identity/oauth2/token"
INFO = "/metadata/identity/info"
VERSION = "api-version=2018-02-01"
VAULT = "https://vault.azure.net"
JSON = "application/json; charset=utf-8"
SELECTORS: dict[str, str] = data.read("identity")["selectors"]["by"]
ABSENT = "00000000-0000-4000-8000-000000000000"
# Recorded, with the Content-Length that was recorded too.
HEADER_MISSING = b'{"error":"invalid_request","error_description":"Required metadata header not specified"}'
NOT_FOUND = b'{"error":"invalid_request","error_description":"Identity not found"}'
SEVERAL = (
    b'{"error":"invalid_request","error_description":"Multiple user assigned identities exist, please specify the '
    b'clientId / resourceId of the identity in the token request"}'
)
RESOURCE_MISSING = b'{"error":"invalid_request","error_description":"Required query variable \'resource\' is missing"}'
VERSION_MISSING = (
    b'{"error":"invalid_request","error_description":"Required query variable \'api-version\' is missing"}'
)


def ask(server: ImdsServer, query: str = "", resource: str = VAULT) -> Reply:
    return fetch(server, f"{TOKEN}?{VERSION}&resource={resource}{query}")


def answered(server: ImdsServer, query: str = "", resource: str = VAULT) -> dict[str, Any]:
    reply = ask(server, query, resource)
    assert reply.status == 200, reply.body
    answer: dict[str, Any] = json.loads(reply.body)
    return answer


def assert_refused(reply: Reply, body: bytes, status: int = 400) -> None:
    assert reply.told == (status, JSON, body)
    assert reply.header("Content-Length") == str(len(body))


def test_a_reply_is_a_compact_object_of_eight_strings_in_alphabetical_order(imds_server: ImdsServer) -> None:
    reply = ask(imds_server)
    answer = json.loads(reply.body)

    assert list(answer) == sorted(answer) == data.read("identity")["reply"]["members"]
    assert len(answer) == 8
    assert {type(value) for value in answer.values()} == {str}
    assert reply.body == json.dumps(answer, separators=(",", ":")).encode()


def test_a_reply_has_the_headers_of_imds(imds_server: ImdsServer) -> None:
    reply = ask(imds_server)

    assert [name for name, _ in reply.headers] == data.read("senders")["imds"]["headers"]
    assert reply.told[:2] == (200, JSON)
    assert reply.header("Content-Length") == str(len(reply.body))


def test_a_new_token_says_24_hours_and_began_5_minutes_ago(imds_server: ImdsServer) -> None:
    before = int(time.time())
    answer = answered(imds_server)

    assert answer["expires_in"] == "86400"
    assert answer["ext_expires_in"] == "86399"
    assert int(answer["expires_on"]) - int(answer["not_before"]) == 86700
    assert before <= int(answer["expires_on"]) - 86400 <= time.time()
    assert answer["token_type"] == "Bearer"
    assert answer["access_token"].count(".") == 2


def test_client_id_is_told_though_nobody_asked_for_it(imds_server: ImdsServer, imds_vm: Vm) -> None:
    assert answered(imds_server)["client_id"] == imds_vm.identities[0].client_id


@pytest.mark.parametrize("path", [f"{TOKEN}?resource={VAULT}&", f"{INFO}?"], ids=["token", "info"])
def test_every_api_version_since_2018_is_answered(imds_server: ImdsServer, path: str) -> None:
    answers = {version: fetch(imds_server, f"{path}api-version={version}").status for version in api_versions()}

    assert "2019-08-15" in answers
    assert answers == {version: 200 if version >= "2018-02-01" else 400 for version in answers}


@every(
    "resource",
    [
        "https://management.azure.com",
        "https://management.azure.com/",
        "https://management.core.usgovcloudapi.net//",
        "api://0c3a2b1e-0000-4000-8000-000000000001",
        "urn:ms-drs:enterpriseregistration.windows.net",
        ABSENT,
    ],
)
@every("encoded", [True, False])
def test_resource_is_echoed_as_it_was_asked_for(imds_server: ImdsServer, resource: str, encoded: bool) -> None:
    sent = quote(resource, safe="") if encoded else resource
    assert answered(imds_server, resource=sent)["resource"] == resource


@pytest.mark.parametrize(("selector", "attribute"), SELECTORS.items())
@pytest.mark.parametrize("written", [str, str.upper, str.swapcase, lambda value: quote(value, safe="")])
@pytest.mark.imds_vm(user_identities=3)
def test_a_selector_names_an_identity_in_any_case_and_encoding(
    imds_server: ImdsServer, imds_vm: Vm, selector: str, attribute: str, written: Callable[[str], str]
) -> None:
    wanted = imds_vm.identities[2]
    answer = answered(imds_server, f"&{selector}={written(getattr(wanted, attribute))}")
    assert answer["client_id"] == wanted.client_id


@pytest.mark.parametrize("selector", ["client_id", "object_id"])
@pytest.mark.imds_vm(user_identities=1)
def test_the_system_assigned_identity_can_be_named_too(imds_server: ImdsServer, imds_vm: Vm, selector: str) -> None:
    system = imds_vm.identities[0]
    assert answered(imds_server, f"&{selector}={getattr(system, selector)}")["client_id"] == system.client_id


@pytest.mark.parametrize(
    ("system", "count", "told"),
    [("system", 0, 0), ("system", 1, 0), ("system", 3, 0), (None, 1, 0), (None, 2, SEVERAL), (None, 0, NOT_FOUND)],
)
def test_a_request_that_names_no_identity_gets_the_default_one(
    make_imds_server: ServerFactory, system: str | None, count: int, told: int | bytes
) -> None:
    server = make_imds_server(identity=system, user_identities=count)
    if isinstance(told, bytes):
        assert_refused(ask(server), told)
    else:
        assert answered(server)["client_id"] == server.vm.identities[told].client_id


def test_the_recorded_refusals_have_the_recorded_numbers_of_bytes() -> None:
    assert [len(body) for body in (HEADER_MISSING, NOT_FOUND, SEVERAL)] == [88, 68, 168]


@every("selector", sorted(SELECTORS))
@every("value", ["", ABSENT, "%22%0A{path}"])
@pytest.mark.imds_vm(user_identities=1)
def test_an_unknown_or_empty_selector_is_400(imds_server: ImdsServer, selector: str, value: str) -> None:
    assert_refused(ask(imds_server, f"&{selector}={value}"), NOT_FOUND)


@pytest.mark.imds_vm(identity=None)
def test_a_vm_without_identities_has_none_by_any_name(imds_server: ImdsServer) -> None:
    assert_refused(ask(imds_server, f"&client_id={ABSENT}"), NOT_FOUND)


@pytest.mark.parametrize(("selector", "attribute"), [("client_id", "object_id"), ("object_id", "resource_id")])
@pytest.mark.imds_vm(user_identities=1)
def test_an_id_of_another_kind_is_400(imds_server: ImdsServer, imds_vm: Vm, selector: str, attribute: str) -> None:
    assert_refused(ask(imds_server, f"&{selector}={getattr(imds_vm.identities[1], attribute)}"), NOT_FOUND)


@every("pair", list(combinations(sorted(SELECTORS), 2)))
@every("empty", [False, True])
@pytest.mark.imds_vm(user_identities=1)
def test_two_selectors_are_400_even_if_they_agree(
    imds_server: ImdsServer, imds_vm: Vm, pair: tuple[str, str], empty: bool
) -> None:
    first, second = (getattr(imds_vm.identities[1], SELECTORS[selector]) for selector in pair)
    reply = ask(imds_server, f"&{pair[0]}={first}&{pair[1]}={'' if empty else second}")
    assert reply.told == error("identity-selectors")


@pytest.mark.parametrize("query", ["", "&resource=", "&resource", "&Resource=https://vault.azure.net"])
def test_missing_or_empty_resource_is_400(imds_server: ImdsServer, query: str) -> None:
    assert_refused(fetch(imds_server, f"{TOKEN}?{VERSION}{query}"), RESOURCE_MISSING)


@pytest.mark.parametrize("path", [f"{TOKEN}?resource={VAULT}", f"{INFO}?x=1"], ids=["token", "info"])
@pytest.mark.parametrize("query", ["", "&api-version="])
def test_missing_api_version_is_400(imds_server: ImdsServer, path: str, query: str) -> None:
    assert_refused(fetch(imds_server, path + query), VERSION_MISSING)


@every("path", [TOKEN, INFO, f"{TOKEN}/nothing"])
@every("query", ["", f"?{VERSION}&resource={VAULT}", "?format=xml&a=1&a=2"])
@every("headers", [(), (("Metadata", "false"),)])
def test_missing_metadata_header_is_400(
    imds_server: ImdsServer, path: str, query: str, headers: tuple[tuple[str, str], ...]
) -> None:
    assert_refused(fetch(imds_server, path + query, headers=headers), HEADER_MISSING)


@pytest.mark.parametrize("path", [TOKEN, INFO])
def test_a_parameter_without_a_name_does_not_stand_for_the_header(imds_server: ImdsServer, path: str) -> None:
    reply = fetch(imds_server, f"{path}?{VERSION}&resource={VAULT}&=true", headers=())
    assert_refused(reply, HEADER_MISSING)


@pytest.mark.parametrize("header", [("Metadata", "True"), ("metadata", "true"), ("MetaData", "TRUE")])
def test_metadata_header_is_taken_in_any_case(imds_server: ImdsServer, header: tuple[str, str]) -> None:
    assert fetch(imds_server, f"{TOKEN}?{VERSION}&resource={VAULT}", headers=[header]).status == 200


@pytest.mark.parametrize("path", [TOKEN, INFO])
def test_forwarded_request_is_400(imds_server: ImdsServer, path: str) -> None:
    headers = (*METADATA, ("X-Forwarded-For", "10.0.0.1"))
    assert fetch(imds_server, f"{path}?{VERSION}&resource={VAULT}", headers=headers).told == error("forwarded")


@pytest.mark.parametrize("path", [TOKEN, INFO])
@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE"])
def test_verb_other_than_get_is_405(imds_server: ImdsServer, path: str, verb: str) -> None:
    assert fetch(imds_server, f"{path}?{VERSION}&resource={VAULT}", method=verb).told == error("method")


@pytest.mark.parametrize(
    "headers",
    [
        (("x-client-SKU", "MSAL.Python"), ("x-client-Ver", "1.39.0"), ("x-ms-client-request-id", ABSENT)),
        (("x-client-SKU", "MSAL.CoreCLR"), ("x-client-Ver", "4.84.2"), ("x-ms-correlation-id", ABSENT)),
        (("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json, text/plain, */*")),
        (("User-Agent", "azsdk-js"), ("Content-Length", "0"), ("Connection", "close"), ("traceparent", "00-0-0-00")),
    ],
)
def test_headers_that_clients_add_are_accepted(imds_server: ImdsServer, headers: tuple[tuple[str, str], ...]) -> None:
    assert fetch(imds_server, f"{TOKEN}?{VERSION}&resource={VAULT}", headers=(*METADATA, *headers)).status == 200


@pytest.mark.parametrize("query", ["&authority=https://login.microsoftonline.com", "&xms_cc=cp1", "&principal_id=x"])
def test_parameters_that_it_does_not_read_are_ignored(imds_server: ImdsServer, query: str) -> None:
    assert answered(imds_server, query)["access_token"] == answered(imds_server)["access_token"]


@pytest.mark.parametrize(
    "path", [f"{TOKEN}/", f"/{TOKEN}", "//metadata//identity/oauth2//token//", TOKEN.replace("metadata", "Metadata")]
)
def test_trailing_and_repeated_slashes_change_nothing(imds_server: ImdsServer, imds_vm: Vm, path: str) -> None:
    reply = fetch(imds_server, f"{path}?{VERSION}&resource={VAULT}")
    assert json.loads(reply.body)["access_token"] == answered(imds_server)["access_token"]


def test_identities_that_a_test_assigns_are_there_for_the_next_request(imds_server: ImdsServer, imds_vm: Vm) -> None:
    imds_vm.identities = [Identity("C", "O", "R"), Identity("c2", "o2", "r2")]
    assert_refused(ask(imds_server), SEVERAL)
    assert answered(imds_server, "&msi_res_id=r")["client_id"] == "C"
    imds_vm.identities.clear()
    assert_refused(ask(imds_server, "&client_id=C"), NOT_FOUND)


@pytest.mark.parametrize("profile", ["linux", "windows", "scale-set", "classic"])
@pytest.mark.parametrize("identity", ["system", None])
def test_info_is_the_tenant_in_51_bytes(make_imds_server: ServerFactory, profile: str, identity: str | None) -> None:
    server = make_imds_server(profile, identity=identity)
    reply = fetch(server, f"{INFO}?{VERSION}")
    assert reply.told == (200, JSON, f'{{"tenantId":"{server.vm.tenant_id}"}}'.encode())
    assert reply.header("Content-Length") == "51"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/metadata/identity", "category-unknown"),
        ("/metadata/identity/oauth2", "category-unknown"),
        ("/metadata/identity/Info", "category-unknown"),
        (f"{TOKEN}/nothing", "element-missing"),
        (f"{INFO}/tenantId", "element-missing"),
        ("/metadata/instance/compute/identity", "element-missing"),
    ],
)
def test_paths_beside_and_below_are_404(imds_server: ImdsServer, path: str, name: str) -> None:
    assert fetch(imds_server, f"{path}?{VERSION}&resource={VAULT}").told == error(name)


@every(("method", "path"), [("GET", "getplatformmetadata"), ("POST", "issuecredential"), ("POST", "credential")])
@every("headers", [METADATA, ()])
@every("query", ["?cred-api-version=2.0", ""])
def test_a_host_has_no_imds_v2_unless_it_is_asked_for(
    imds_server: ImdsServer, method: str, path: str, headers: tuple[tuple[str, str], ...], query: str
) -> None:
    reply = fetch(imds_server, f"/metadata/identity/{path}{query}", method=method, headers=headers)
    assert reply.told == (404, JSON, b'{"error":"Not Found"}')
