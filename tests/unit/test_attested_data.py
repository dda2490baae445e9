"""The facts about attested documents: they fit together, and with the other facts."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pytest_imds import data
from pytest_imds.trust.forging import ALTERATIONS
from pytest_imds.trust.setting import AIA_MODES
from tests.every import every

ATTESTED: dict[str, dict[str, Any]] = data.read("attested")
FORGERIES: dict[str, dict[str, Any]] = data.read("forgeries")
VERSIONS: list[str] = [row["version"] for row in data.read("api_versions")["versions"]]


def test_every_cloud_has_a_metadata_domain_of_its_own() -> None:
    domains = ATTESTED["domains"]["by_cloud"]

    assert domains.keys() == data.read("clouds")["clouds"].keys()
    assert len(set(domains.values())) == len(domains)
    assert all(domain in ATTESTED["domains"]["rule"] for domain in domains.values())


def test_members_of_documents_begin_with_api_versions_that_have_documents() -> None:
    since = ATTESTED["members"]["since"]

    assert list(since) == sorted(since)
    assert set(since.values()) <= set(VERSIONS)
    assert min(since.values()) == data.read("endpoints")["attested/document"]["since"]
    assert set(ATTESTED["classic"]["members"]) <= since.keys()
    # What describes the VM is a field of the instance document.
    described = {f"compute.{member}" for member in since} - {"compute.nonce", "compute.timeStamp"}
    assert described <= data.read("schema").keys()


def test_the_patterns_of_documents_are_the_ones_observed() -> None:
    assert re.fullmatch(ATTESTED["nonce"]["pattern"], "Yi09ymh-yIl4_zkmA6kIki4mDPpUlVxK")
    assert not re.fullmatch(ATTESTED["nonce"]["pattern"], "")
    assert ATTESTED["lifetime"]["seconds"] == 6 * 60 * 60


def test_authorities_may_sign_for_every_domain_and_for_what_looks_like_one() -> None:
    names = ATTESTED["constraints"]["names"]
    domains = ATTESTED["domains"]["by_cloud"].values()

    assert {*domains, *(f"evil{domain}" for domain in domains)} <= set(names)
    # Nobody can own what is below .example (RFC 2606).
    assert set(names) - {*domains, *(f"evil{domain}" for domain in domains)} == {"example"}


@pytest.mark.parametrize("name", data.read("chains"))
def test_a_chain_has_what_its_certificates_need(name: str) -> None:
    row = data.read("chains")[name]
    *between, root = row["authorities"]

    assert 1 <= row["ca_issuers"] <= len(ATTESTED["issuer-certificates"]["hosts"])
    assert [authority["path_length"] for authority in between] == list(range(len(between)))
    assert "path_length" not in root
    assert len({authority["name"] for authority in row["authorities"]}) == len(row["authorities"])
    assert "1.3.6.1.5.5.7.3.1" in row["leaf"]["purposes"]
    assert row["leaf"]["crl_hosts"]
    assert "{name}" in row["leaf"]["crl_path"]


def test_a_default_of_the_server_is_a_chain() -> None:
    assert "2024" in data.read("chains")
    assert "sha256WithRSAEncryption" in ATTESTED["digest-oid"]["known"]


@every("name", FORGERIES["forgeries"])
def test_a_forgery_has_a_check_a_reason_and_its_outcomes(name: str) -> None:
    row = FORGERIES["forgeries"][name]

    assert row.keys() == {"must_check", "why", "reference", "smime", "verify"}
    assert row["must_check"] in FORGERIES["checks"]
    assert row["reference"].strip()
    assert {row["smime"], row["verify"]} <= {"accepted", "refused", None}
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert row["why"].strip() == row["why"] != ""
    assert not row["why"].endswith(".")


def test_every_check_has_a_forgery_and_every_reason_is_said_once() -> None:
    rows = FORGERIES["forgeries"].values()

    assert {row["must_check"] for row in rows} == FORGERIES["checks"].keys()
    assert len({row["why"] for row in rows}) == len(rows)


def test_every_forgery_can_be_made_and_every_alteration_is_a_forgery() -> None:
    assert ALTERATIONS.keys() == FORGERIES["forgeries"].keys()


def test_a_mode_that_is_a_forgery_is_one_of_access() -> None:
    forged = {forgery for forgery in AIA_MODES.values() if forgery}

    assert forged <= FORGERIES["forgeries"].keys()
    assert all(ALTERATIONS[forgery].access for forgery in forged)
