"""The reference verifier accepts every good document, and refuses every other with an error of its own."""

from __future__ import annotations

import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import cycle, product
from typing import Any

import pytest

import pytest_imds
from pytest_imds import CHECKS, FORGERIES, Attestation, AttestationError, Document
from pytest_imds.clock import Clock
from pytest_imds.trust.authority import Authority
from pytest_imds.trust.setting import AIA_MODES, Setting
from tests import documents, hosts
from tests.documents import CHAINS, CLOUDS, SINCE, VERSIONS
from tests.every import every

# The api-versions at which the members change, and the newest.
TURNS = sorted({*SINCE.values(), VERSIONS[-1]})
# The modes in which an intermediate can be had, and those in which it cannot, with what is found out.
WITH_INTERMEDIATE = [mode for mode, forgery in AIA_MODES.items() if forgery is None]
WITHOUT = {mode: FORGERIES[forgery].must_check for mode, forgery in AIA_MODES.items() if forgery}
ERRORS = {
    getattr(pytest_imds, name).check: getattr(pytest_imds, name)
    for name in pytest_imds.__all__
    if name.startswith("Attestation") and name not in ("Attestation", "AttestationError")
}
NONCE = "abcde12345"

made = cache(documents.attestation)


@every("cloud", CLOUDS)
@every("chain", CHAINS)
@every("aia", WITH_INTERMEDIATE)
def test_every_good_document_is_accepted(cloud: str, chain: str, aia: str) -> None:
    attestation = made(cloud=cloud, chain=chain, aia=aia)
    for version in TURNS:
        document = attestation.document(nonce=NONCE, api_version=version)
        members = attestation.verify(document, nonce=NONCE, api_version=version)
        assert members == documents.opened(document).members
        assert set(members) == {name for name in SINCE if SINCE[name] <= version}


@every("profile", ["marketplace", "hybrid-benefit", "custom-image", "classic", "edge-zone"])
@every("digest_oid", ["sha256", "sha256WithRSAEncryption"])
def test_documents_of_any_vm_and_either_digest_oid_are_accepted(profile: str, digest_oid: str) -> None:
    attestation = made(profile, digest_oid=digest_oid)

    assert attestation.verify(attestation.document())["vmId"] == documents.vm(profile).vm_id


@pytest.mark.parametrize("form", [dict, Document, lambda document: document.signature], ids=["dict", "Document", "str"])
def test_the_reply_and_its_signature_alone_are_accepted(form: Callable[[Document], Any]) -> None:
    assert made().verify(form(made().document()))


def ways() -> Iterator[tuple[str, str, str, str, str | None]]:
    """Each forgery with both chains; the modes, the clouds and a request without a nonce take turns."""
    turns = zip(cycle(WITH_INTERMEDIATE), cycle(CLOUDS), cycle([NONCE, None, NONCE, None, NONCE]), strict=False)
    for (name, chain), (aia, cloud, nonce) in zip(product(FORGERIES, CHAINS), turns, strict=False):
        yield name, chain, aia, cloud, nonce


@every(("name", "chain", "aia", "cloud", "nonce"), list(ways()))
def test_a_forgery_is_refused_with_the_error_of_its_check(
    name: str, chain: str, aia: str, cloud: str, nonce: str | None
) -> None:
    attestation = made(chain=chain, aia=aia, cloud=cloud)

    with pytest.raises(ERRORS[FORGERIES[name].must_check]) as caught:
        attestation.verify(attestation.forge(name, nonce=nonce), nonce=nonce)
    assert type(caught.value).check == FORGERIES[name].must_check


@every("aia", WITHOUT)
@every("chain", CHAINS)
def test_a_mode_without_the_issuer_makes_documents_that_are_refused(aia: str, chain: str) -> None:
    attestation = made(chain=chain, aia=aia)

    with pytest.raises(ERRORS[WITHOUT[aia]]):
        attestation.verify(attestation.document())


def test_every_reason_has_an_error_of_its_own_and_every_error_a_forgery() -> None:
    assert list(ERRORS) == sorted(ERRORS, key=lambda check: ERRORS[check].__name__)
    assert set(ERRORS) == set(CHECKS) == {forgery.must_check for forgery in FORGERIES.values()}
    assert all(issubclass(error, AttestationError) and error.__doc__ for error in ERRORS.values())


@every("check", CHECKS)
def test_an_error_says_what_was_found_and_what_was_expected_and_survives_pickling(check: str) -> None:
    name = next(name for name, forgery in FORGERIES.items() if forgery.must_check == check)
    with pytest.raises(AttestationError, match=f"^{check}: found (?s:.)+; expected .") as caught:
        made().verify(made().forge(name, nonce=NONCE), nonce=NONCE)

    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy), copy.check) == (ERRORS[check], str(caught.value), check)


def of_authority(authority: Authority, chain: str = "2024") -> Attestation:
    return Attestation(
        documents.vm(), Clock(), VERSIONS[-1], Setting(chain), lambda: authority, hosts.ADDRESSES.__getitem__
    )


@pytest.fixture(scope="module")
def stranger() -> Attestation:
    return of_authority(Authority("ec"))


def test_a_root_that_did_not_sign_is_refused_though_it_has_the_name(stranger: Attestation) -> None:
    with pytest.raises(ERRORS["chain"], match="TEST Global Root"):
        made().verify(made().document(), trust=stranger.root_pem)


def test_documents_of_another_authority_are_accepted_with_its_root_alone(stranger: Attestation) -> None:
    document = stranger.document()

    with pytest.raises(ERRORS["chain"]):
        made().verify(document)
    with pytest.raises(ERRORS["chain"]):
        stranger.verify(document, trust=made().root_pem)
    assert stranger.verify(document)


@pytest.mark.parametrize("first", [True, False])
def test_one_of_several_roots_is_enough(stranger: Attestation, first: bool) -> None:
    roots = [made().root_pem, stranger.root_pem] if first else [stranger.root_pem, made().root_pem]

    assert made().verify(made().document(), trust=b"".join(roots))


def test_an_intermediate_may_be_trusted_in_place_of_the_root() -> None:
    attestation = made(aia="dead")

    assert attestation.verify(attestation.document(), trust=attestation.intermediate_pem)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_document_of_another_cloud_is_refused(cloud: str) -> None:
    other = next(one for one in CLOUDS if one != cloud)
    attestation = made(cloud=cloud)

    with pytest.raises(ERRORS["name"], match=CLOUDS[other].replace(".", "[.]")):
        attestation.verify(attestation.document(), cloud=other)
    assert attestation.verify(attestation.document(), cloud=cloud)


NOW = datetime(2026, 3, 4, 12, 5, 6, tzinfo=timezone.utc)
LATER: dict[str, tuple[timedelta, str]] = {
    "a second earlier": (timedelta(seconds=-1), "document-time"),
    "at once": (timedelta(0), ""),
    "just valid": (timedelta(hours=6, seconds=-1), ""),
    "just expired": (timedelta(hours=6), "document-time"),
    "months later": (timedelta(days=90), "time"),
    "months earlier": (timedelta(days=-90), "time"),
}


@pytest.mark.parametrize(("later", "check"), LATER.values(), ids=LATER)
def test_a_document_is_valid_for_six_hours_at_the_time_that_is_said(
    monkeypatch: pytest.MonkeyPatch, later: timedelta, check: str
) -> None:
    monkeypatch.setattr("time.time", NOW.timestamp)
    document = made().document()

    if check:
        with pytest.raises(ERRORS[check]):
            made().verify(document, now=NOW + later)
    else:
        assert made().verify(document, now=(NOW + later).astimezone(timezone(timedelta(hours=5))))


@pytest.mark.parametrize("sent", [None, "other", "abcde1234", "ABCDE12345"])
def test_another_nonce_than_the_one_that_was_sent_is_refused(sent: str | None) -> None:
    with pytest.raises(ERRORS["nonce"], match="'abcde12345'; expected"):
        made().verify(made().document(nonce=NONCE), nonce=sent)


def test_a_document_for_no_nonce_is_refused_if_one_was_sent() -> None:
    with pytest.raises(ERRORS["nonce"], match=f"expected '{NONCE}'"):
        made().verify(made().document(), nonce=NONCE)


@pytest.mark.parametrize("keyword", ["license_type", "plan", "sku", "subscription_id", "vm_id"])
def test_a_document_about_another_vm_is_refused(keyword: str) -> None:
    payload: dict[str, Any] = {keyword: {"name": "other"} if keyword == "plan" else "other"}

    with pytest.raises(ERRORS["vm"], match=r"'other'.*; expected "):
        made().verify(made().document(**payload))


def test_members_that_are_missing_are_refused() -> None:
    with pytest.raises(ERRORS["vm"], match="None; expected"):
        made().verify(made().document(api_version="2018-10-01"), api_version="2020-09-01")


@pytest.mark.filterwarnings("default")
def test_verifying_in_several_threads_leaves_the_filters_of_warnings_alone() -> None:
    attestation, before, interval = made(), list(warnings.filters), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(6):
            with ThreadPoolExecutor(4) as pool:
                assert all(pool.map(attestation.verify, [attestation.document()] * 12))
            assert list(warnings.filters) == before
    finally:
        sys.setswitchinterval(interval)
