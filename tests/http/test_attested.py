"""``/metadata/attested/document``: its reply to the byte, its refusals, many requests at once."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest

from pytest_imds import FORGERIES, Attestation, AttestationVmError, ImdsServer, ImdsServerError, Vm
from pytest_imds.shared import Shared
from tests import documents
from tests.documents import SINCE, VERSIONS
from tests.every import every
from tests.http.wire import METADATA, Reply, Wire, api_versions, error, fetch, request

NEWEST = VERSIONS[-1]
ROUTE = "/metadata/attested/document"
DOCUMENT = f"{ROUTE}?api-version={NEWEST}"
NONCES = ["a", "0", "1234567890", "Yi09ymh-yIl4_zkmA6kIki4mDPpUlVxK", "-", "_", "A" * 32]


def members(reply: Reply) -> dict[str, Any]:
    assert reply.status == 200, reply
    return documents.opened(json.loads(reply.body)).members


def test_the_reply_is_one_line_with_encoding_and_signature(imds_server: ImdsServer) -> None:
    reply = fetch(imds_server, DOCUMENT)

    found = re.fullmatch(rb'\{"encoding":"pkcs7","signature":"([A-Za-z0-9+/]+={0,2})"\}', reply.body)
    assert found
    assert b64decode(found[1], validate=True)[:2] == b"\x30\x82"


def test_the_reply_has_the_headers_of_the_service(imds_server: ImdsServer) -> None:
    reply, instance = fetch(imds_server, DOCUMENT), fetch(imds_server, f"/metadata/instance?api-version={NEWEST}")

    assert [name for name, _ in reply.headers] == [name for name, _ in instance.headers]
    assert reply.header("Content-Type") == "application/json; charset=utf-8"
    assert reply.header("Content-Length") == str(len(reply.body))


@pytest.mark.parametrize("nonce", NONCES)
def test_the_nonce_is_signed_as_it_is(imds_server: ImdsServer, imds_attested: Attestation, nonce: str) -> None:
    reply = fetch(imds_server, f"{DOCUMENT}&nonce={nonce}")

    assert members(reply)["nonce"] == nonce
    assert imds_attested.verify(json.loads(reply.body), nonce=nonce)["nonce"] == nonce


@every("nonce", ["", "A" * 33, "a b", "a.b", "a\n", "a/b", "é", "\u0661\u0662", "\uff11", "a=", "'", '"', "\0"])
def test_any_other_nonce_is_refused(imds_server: ImdsServer, nonce: str) -> None:
    assert fetch(imds_server, f"{DOCUMENT}&nonce={quote(nonce)}").told == error("nonce")


@pytest.mark.parametrize("query", ["&nonce", "&nonce=%ff", "&nonce=%"])
def test_a_nonce_without_a_value_or_in_no_encoding_is_refused(imds_server: ImdsServer, query: str) -> None:
    assert fetch(imds_server, DOCUMENT + query).told == error("nonce")


def test_two_nonces_are_refused(imds_server: ImdsServer) -> None:
    assert fetch(imds_server, f"{DOCUMENT}&nonce=a&nonce=b").told == error("parameter-repeated")


def test_each_request_gets_its_own_nonce(imds_server: ImdsServer) -> None:
    assert [members(fetch(imds_server, f"{DOCUMENT}&nonce={nonce}"))["nonce"] for nonce in NONCES] == NONCES


def test_times_are_those_of_the_service_and_six_hours_apart(imds_server: ImdsServer) -> None:
    before = int(imds_server.clock.time())
    said = members(fetch(imds_server, DOCUMENT))
    after = int(imds_server.clock.time())

    created, expires = (
        datetime.strptime(said["timeStamp"][name], "%m/%d/%y %H:%M:%S %z") for name in ("createdOn", "expiresOn")
    )
    assert before <= created.timestamp() <= after
    assert expires - created == timedelta(hours=6)
    assert said["nonce"] == f"{expires:%Y%m%d-%H%M%S}"


def test_times_are_those_of_the_date_header(imds_server: ImdsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", datetime(2031, 2, 3, 4, 5, 6, tzinfo=timezone.utc).timestamp)
    reply = fetch(imds_server, DOCUMENT)
    monkeypatch.undo()

    assert reply.header("Date") == "Mon, 03 Feb 2031 04:05:06 GMT"
    assert members(reply)["timeStamp"]["createdOn"] == "02/03/31 04:05:06 -0000"


@every("version", api_versions())
def test_an_api_version_is_answered_with_its_members_or_refused(imds_server: ImdsServer, version: str) -> None:
    reply = fetch(imds_server, f"{ROUTE}?api-version={version}")

    if version < "2018-10-01":
        assert reply.told == error("version-invalid", api_versions()[:-4:-1])
    else:
        assert list(members(reply)) == sorted(name for name in SINCE if SINCE[name] <= version)


@pytest.mark.imds(newest="2019-11-01")
def test_a_pinned_service_has_the_documents_of_its_time(imds_server: ImdsServer) -> None:
    known = [version for version in api_versions() if version <= "2019-11-01"]

    assert "licenseType" not in members(fetch(imds_server, f"{ROUTE}?api-version=2019-11-01"))
    refused = fetch(imds_server, f"{ROUTE}?api-version=2020-09-01")
    assert refused.told == error("version-unsupported-2017", known[:-4:-1])


@pytest.mark.imds(newest="2018-04-02")
def test_a_service_older_than_attested_documents_does_not_know_them(imds_server: ImdsServer) -> None:
    told = {fetch(imds_server, f"{ROUTE}?api-version={version}").told for version in api_versions()}

    assert told == {error("category-unknown")}


@pytest.mark.imds_vm("classic")
def test_a_classic_vm_has_a_document_though_no_compute(imds_server: ImdsServer, imds_vm: Vm) -> None:
    said = members(fetch(imds_server, DOCUMENT))

    assert list(said) == ["nonce", "timeStamp", "vmId"]
    assert said["vmId"] == imds_vm.vm_id


def test_what_is_assigned_and_overridden_is_in_the_next_document(imds_server: ImdsServer, imds_vm: Vm) -> None:
    before = members(fetch(imds_server, DOCUMENT))
    imds_vm.sku = "a-sku"
    imds_vm.override("/compute/licenseType", "Windows_Server")
    after = members(fetch(imds_server, DOCUMENT))

    assert (after["sku"], after["licenseType"]) == ("a-sku", "Windows_Server")
    assert (before["sku"], before["licenseType"]) != (after["sku"], after["licenseType"])
    assert before["vmId"] == after["vmId"]


@pytest.mark.parametrize(
    "query", ["&format=json", "&format=text", "&format=JSON", "&extended=true", "&Nonce=a", "&x=y"]
)
def test_format_and_unknown_parameters_change_nothing(imds_server: ImdsServer, query: str) -> None:
    assert list(json.loads(fetch(imds_server, DOCUMENT + query).body)) == ["encoding", "signature"]


@pytest.mark.parametrize("path", [f"{ROUTE}/", f"{ROUTE}//", "/metadata//attested//document"])
def test_slashes_too_many_count_for_nothing(imds_server: ImdsServer, path: str) -> None:
    assert members(fetch(imds_server, f"{path}?api-version={NEWEST}"))


@every(
    ("target", "name"),
    [
        (f"/metadata/attested?api-version={NEWEST}", "category-unknown"),
        (f"/metadata/attested/?api-version={NEWEST}", "category-unknown"),
        (f"/metadata/attested/Document?api-version={NEWEST}", "category-unknown"),
        (f"/metadata/attested/signature?api-version={NEWEST}", "category-unknown"),
        (f"{ROUTE}/x?api-version={NEWEST}", "element-missing"),
        (f"{ROUTE}/signature?api-version={NEWEST}&format=text", "element-missing"),
        (f"{DOCUMENT}&format=xml", "format-unknown"),
        (f"{DOCUMENT}&format=", "format-unknown"),
    ],
)
def test_another_path_or_format_is_refused(imds_server: ImdsServer, target: str, name: str) -> None:
    assert fetch(imds_server, target).told == error(name)


def test_a_request_without_an_api_version_is_refused(imds_server: ImdsServer) -> None:
    assert fetch(imds_server, ROUTE).told == error("version-invalid", api_versions()[:-4:-1])


@pytest.mark.parametrize(
    "headers", [[], [("Metadata", "false")], [*METADATA, ("X-Forwarded-For", "10.0.0.1")]], ids=str
)
def test_a_request_with_the_wrong_headers_is_refused(imds_server: ImdsServer, headers: list[tuple[str, str]]) -> None:
    assert fetch(imds_server, DOCUMENT, headers=headers).told == error(
        "forwarded" if len(headers) == 2 else "header-missing"
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_verbs_are_refused(imds_server: ImdsServer, method: str) -> None:
    assert fetch(imds_server, DOCUMENT, method=method).told == error("method")


def test_documents_come_one_after_another_on_a_connection(imds_server: ImdsServer) -> None:
    with Wire(imds_server) as wire:
        for nonce in NONCES:
            wire.send(request(f"{DOCUMENT}&nonce={nonce}"))
            assert members(wire.reply())["nonce"] == nonce


@pytest.fixture(params=["rsa", "ec"])
def new_session(request: pytest.FixtureRequest) -> Iterator[ImdsServer]:
    """A server whose root of trust nobody has used yet."""
    with ImdsServer(chain="2026", shared=Shared(request.param)) as server:
        yield server


def test_eight_first_requests_at_once_get_documents_of_one_root(new_session: ImdsServer) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda number: fetch(new_session, f"{DOCUMENT}&nonce={number}"), range(8)))

    assert {members(reply)["nonce"] for reply in replies} == set("01234567")
    for number, reply in enumerate(replies):
        assert new_session.attestation.verify(json.loads(reply.body), nonce=str(number))
    assert len({documents.opened(json.loads(reply.body)).certificates for reply in replies}) == 1


@pytest.mark.parametrize("as_name", [True, False])
@pytest.mark.parametrize(
    "name", ["wrong-nonce", "truncated-base64", "no-signature", "wrong-encoding", "expired-certificate"]
)
def test_a_served_forgery_is_what_forge_makes(
    imds_server: ImdsServer, imds_attested: Attestation, monkeypatch: pytest.MonkeyPatch, name: str, as_name: bool
) -> None:
    monkeypatch.setattr("time.time", datetime(2031, 2, 3, tzinfo=timezone.utc).timestamp)
    imds_attested.serve(name if as_name else FORGERIES[name])

    reply = fetch(imds_server, f"{DOCUMENT}&nonce=abc")
    assert json.loads(reply.body) == imds_attested.forge(name, nonce="abc")
    assert reply.status == 200


def test_the_last_forgery_to_be_served_wins_and_refusals_stay(
    imds_server: ImdsServer, imds_attested: Attestation
) -> None:
    imds_attested.serve("no-signature")
    imds_attested.serve("wrong-encoding")

    assert json.loads(fetch(imds_server, DOCUMENT).body)["encoding"] == "cms"
    assert fetch(imds_server, f"{DOCUMENT}&nonce=").told == error("nonce")
    assert fetch(imds_server, DOCUMENT, headers=[]).told == error("header-missing")


def test_a_service_that_serves_no_forgery_any_more_is_honest_again(
    imds_server: ImdsServer, imds_attested: Attestation
) -> None:
    imds_attested.serve("other-vm")
    with pytest.raises(AttestationVmError):
        imds_attested.verify(json.loads(fetch(imds_server, DOCUMENT).body), api_version=NEWEST)
    imds_attested.serve(None)

    assert imds_attested.verify(json.loads(fetch(imds_server, DOCUMENT).body), api_version=NEWEST)


def test_a_forgery_that_is_none_in_an_api_version_fails_the_test_and_says_so() -> None:
    server = ImdsServer()
    server.start()
    server.attestation.serve("no-subscription")
    reply = fetch(server, f"{ROUTE}?api-version=2018-10-01")
    server.stop()

    assert reply.status == 500
    with pytest.raises(ImdsServerError, match=r"(?s)attested/document.*the forgery cannot be 'no-subscription'"):
        server.check()
