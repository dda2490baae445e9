"""@azure/identity for Node, unmodified, gets tokens from the server."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pytest_imds import ImdsServer, Vm
from tests.clients.redirected import (
    RESOURCE,
    SCOPE,
    TIMEOUT_S,
    TOKEN_PATH,
    VALID_S,
    Asked,
    asked,
    claims,
    error,
    redirect,
    span,
)

SCRIPT = Path(__file__).with_name("identity.mjs")
# It puts a slash at the end of the path, and encodes what stands in the query.
TARGET = f"{TOKEN_PATH}/?api-version=2018-02-01&resource={quote(RESOURCE, safe='')}"
SELECTORS = {
    "clientId": ("client_id", "client_id"),
    "objectId": ("object_id", "object_id"),
    "resourceId": ("resource_id", "msi_res_id"),
}
NOBODY = "00000000-0000-0000-0000-000000000000"
Options = dict[str, str]
Answer = dict[str, Any]
Ask = Callable[..., list[Answer]]


@pytest.fixture(scope="module")
def node() -> str:
    """Node, if it finds the library."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    look = [found, "-e", "require.resolve('@azure/identity')"]
    if subprocess.run(look, cwd=SCRIPT.parent, capture_output=True, timeout=TIMEOUT_S).returncode:
        pytest.skip("node finds no @azure/identity; NODE_PATH says where it is")
    return found


@pytest.fixture
def ask(node: str, monkeypatch: pytest.MonkeyPatch, imds_server: ImdsServer) -> Ask:
    """Ask credentials with these options for a token, one after the other, in one process."""
    redirect(monkeypatch, imds_server)

    def ask_node(*credentials: Options) -> list[Answer]:
        command = [node, str(SCRIPT), SCOPE]
        told = subprocess.run(
            command, input=json.dumps(credentials).encode(), check=True, capture_output=True, timeout=TIMEOUT_S
        )
        answers: list[Answer] = json.loads(told.stdout)
        return answers

    return ask_node


@pytest.mark.imds_vm(user_identities=2)
def test_each_credential_gets_a_token_of_the_identity_that_it_names(
    ask: Ask, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    system, *_, wanted = imds_vm.identities
    named = {option: getattr(wanted, attribute) for option, (attribute, _) in SELECTORS.items()}

    with span() as taken:
        answers = ask({}, *({option: value} for option, value in named.items()))

    found = [claims(imds_server, answer["token"]) for answer in answers]
    assert [each["oid"] for each in found] == [system.object_id, *[wanted.object_id] * 3]
    assert all(taken.has(each["exp"] - VALID_S) for each in found)
    # It reads its clock before and after the reply, and rounds what it reads.
    off = [answer["expiresOn"] - each["exp"] for answer, each in zip(answers, found, strict=True)]
    assert max(map(abs, off)) <= taken.ends - taken.begins + 1
    assert asked(imds_server) == [
        Asked(TARGET, "true", 200),
        *(Asked(f"{TARGET}&{SELECTORS[of][1]}={quote(value, safe='')}", "true", 200) for of, value in named.items()),
    ]


@pytest.mark.imds_vm(identity=None, user_identities=2)
def test_a_credential_says_why_it_gets_no_token(ask: Ask, imds_server: ImdsServer) -> None:
    answers = ask({}, *({option: NOBODY} for option in SELECTORS))

    assert {answer["error"] for answer in answers} == {"CredentialUnavailableError"}
    assert error("identity-several")["error_description"] in answers[0]["message"]
    assert all(error("identity-not-found")["error_description"] in answer["message"] for answer in answers[1:])
    # Each has asked once.
    assert asked(imds_server) == [
        Asked(TARGET, "true", 400),
        *(Asked(f"{TARGET}&{parameter}={NOBODY}", "true", 400) for _, parameter in SELECTORS.values()),
    ]


@pytest.mark.imds_vm(identity=None, user_identities=1)
def test_the_only_user_assigned_identity_answers(ask: Ask, imds_server: ImdsServer, imds_vm: Vm) -> None:
    (answer,) = ask({})
    assert claims(imds_server, answer["token"])["oid"] == imds_vm.identities[0].object_id


def test_the_probe_of_the_default_credential_is_answered_at_once(imds_server: ImdsServer) -> None:
    # It does not probe where the variable is set, so this is its request, sent by hand: no Metadata header, no query.
    connection = http.client.HTTPConnection("127.0.0.1", imds_server.port, timeout=1)
    connection.request("GET", TOKEN_PATH, headers={"Accept": "application/json"})
    response = connection.getresponse()
    body = response.read()
    connection.close()

    assert (response.status, json.loads(body)) == (400, error("identity-header-missing"))
