"""Faults between a client and the service: what is altered on the way, what is stale, what comes and goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from pytest_imds import Faults, data
from pytest_imds.host import Host
from pytest_imds.service.handle import handle
from pytest_imds.service.message import Request
from tests import documents, hosts
from tests.faulty import Faulty, reply
from tests.rows import assert_is

ERRORS: dict[str, Any] = data.read("errors")
GOOD = Request("GET", "/metadata/instance", "api-version=2021-02-01", {"metadata": "true"})
TOKEN = replace(GOOD, path="/metadata/identity/oauth2/token", query=f"{GOOD.query}&resource=r")
ATTESTED = replace(GOOD, path="/metadata/attested/document")


@pytest.fixture
def host() -> Iterator[Host]:
    made = hosts.host(documents.vm())
    yield made
    made.attestation.close()


@pytest.fixture
def faulty() -> Faulty:
    return Faulty()


@pytest.fixture
def faults(faulty: Faulty) -> Faults:
    return faulty.faults


def test_without_its_header_the_request_is_refused_by_the_service_itself(faults: Faults, host: Host) -> None:
    faults.missing_header()

    assert_is(reply(faults, GOOD, host), ERRORS["header-missing"])
    assert_is(reply(faults, TOKEN, host), ERRORS["identity-header-missing"])


def test_a_middlebox_takes_no_other_header(faults: Faults, host: Host) -> None:
    faults.missing_header()
    forwarded = replace(GOOD, headers={"metadata": "true", "x-forwarded-for": "10.0.0.1"})
    events = replace(forwarded, path="/metadata/scheduledevents", query="api-version=2017-03-01")  # needs no Metadata

    assert_is(reply(faults, events, host), ERRORS["forwarded"])


@pytest.mark.parametrize("request_", [GOOD, TOKEN, ATTESTED], ids=lambda request: request.path)
def test_forwarded_is_refused_by_the_service_itself(faults: Faults, host: Host, request_: Request) -> None:
    faults.forwarded()

    assert_is(reply(faults, request_, host), ERRORS["forwarded"])


def nonce(faults: Faults, host: Host, query: str) -> str:
    """Return the nonce of the document that a request gets, over a fault or not."""
    request = replace(ATTESTED, query=f"{ATTESTED.query}{query}")
    effect = faults.breaking(request).effect
    answer = (effect.reply(request, host) if effect else None) or handle(request, host)
    assert answer.status == 200, answer
    return str(documents.opened(json.loads(answer.body)).members["nonce"])


def test_a_stale_document_has_the_nonce_of_the_request_before(faults: Faults, host: Host) -> None:
    faults.stale_nonce()
    nonces = [nonce(faults, host, f"&nonce={sent}") for sent in ("1111111111", "2222222222", "3333333333")]

    assert nonces[0] not in ("1111111111", "2222222222", "3333333333")
    assert nonces[1:] == ["1111111111", "2222222222"]


@pytest.mark.parametrize("terms", [{"after": 1}, {"after": 1, "times": 1}], ids=str)
def test_a_document_may_be_stale_that_was_right_before(faults: Faults, host: Host, terms: dict[str, int]) -> None:
    faults.stale_nonce(**terms)  # type: ignore[arg-type]

    assert [nonce(faults, host, f"&nonce={sent}") for sent in ("1111111111", "2222222222")] == ["1111111111"] * 2


@pytest.mark.parametrize("first", ["0000000000", "1111111111"])
def test_a_document_is_stale_even_where_the_same_nonce_comes_again(faults: Faults, host: Host, first: str) -> None:
    faults.stale_nonce()

    assert first not in [nonce(faults, host, f"&nonce={first}") for _ in range(2)]


def test_a_request_without_a_nonce_gets_the_one_before_too(faults: Faults, host: Host) -> None:
    faults.stale_nonce()
    nonce(faults, host, "&nonce=1111111111")

    assert nonce(faults, host, "") == "1111111111"


def test_stale_nonce_breaks_attested_documents_alone(faults: Faults) -> None:
    faults.stale_nonce()

    assert faults.breaking(GOOD).effect is None


def test_stale_identity_breaks_tokens_alone(faults: Faults) -> None:
    faults.stale_identity()

    assert faults.breaking(replace(TOKEN, path="/metadata/identity/info")).effect is None


def test_stale_identity_is_what_the_service_says_of_an_identity_that_it_does_not_know(
    faults: Faults, host: Host
) -> None:
    faults.stale_identity()
    stale = reply(faults, TOKEN, host)
    host.vm.identities = []
    unknown = handle(TOKEN, host)

    assert (stale.status, stale.body) == (unknown.status, unknown.body)


def test_flapping_is_good_first_and_then_alternates_from_the_first_request_on(faulty: Faulty, faults: Faults) -> None:
    faults.flapping(up=10, down=5)
    down = "flapping"

    assert faulty.play_later(100, 8, 3, 2, 4, 6, 4) == ["", "", down, down, "", "", down]


def test_flapping_may_begin_with_what_is_bad(faulty: Faulty, faults: Faults) -> None:
    faults.flapping(up=0, down=5)

    assert faulty.play_later(0, 3, 3) == ["flapping"] * 3


def test_what_is_good_while_it_flaps_does_not_count(faulty: Faulty, faults: Faults) -> None:
    faults.flapping(up=10, down=10, times=1, after=1)

    assert faulty.play_later(100, 0, 0, 11, 0) == ["", "", "", "flapping", ""]
