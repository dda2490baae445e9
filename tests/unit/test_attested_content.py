"""What an attested document says: its members by api-version and by VM, its times, its nonce, its bytes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from pytest_imds import Attestation, ImdsUsageError, data
from pytest_imds.trust import content
from tests import documents, hosts
from tests.documents import SINCE, VERSIONS
from tests.every import every

FACTS: dict[str, Any] = data.read("attested")
NO_PLAN = {"name": "", "product": "", "publisher": ""}
NOON = datetime(2026, 3, 4, 12, 5, 6, tzinfo=timezone.utc)


def members(attestation: Attestation, **asked: Any) -> dict[str, Any]:
    return documents.opened(attestation.document(**asked)).members


@pytest.fixture(scope="module")
def linux() -> Attestation:
    return documents.attestation()


@every("version", VERSIONS)
def test_an_api_version_has_the_members_that_it_came_with_or_before(linux: Attestation, version: str) -> None:
    assert list(members(linux, api_version=version)) == sorted(name for name in SINCE if SINCE[name] <= version)


@pytest.mark.parametrize(
    ("version", "count"),
    [("2018-10-01", 4), ("2019-03-11", 4), ("2019-04-30", 5), ("2019-11-01", 6), ("2020-09-01", 7), (VERSIONS[-1], 7)],
)
def test_members_become_more_with_the_api_versions(linux: Attestation, version: str, count: int) -> None:
    assert len(members(linux, api_version=version)) == count


def test_the_members_are_those_of_the_vm() -> None:
    vm = documents.vm("marketplace", license_type="RHEL_BYOS")
    said = members(hosts.attestation(vm), nonce="abc")

    assert said == {
        "licenseType": "RHEL_BYOS",
        "nonce": "abc",
        "plan": {"name": vm.plan.name, "product": vm.plan.product, "publisher": vm.plan.publisher},
        "sku": vm.sku,
        "subscriptionId": vm.subscription_id,
        "timeStamp": said["timeStamp"],
        "vmId": vm.vm_id,
    }
    assert all(said["plan"].values())
    assert said["sku"]


@pytest.mark.parametrize(
    ("profile", "member", "value"),
    [
        ("linux", "plan", NO_PLAN),
        ("linux", "licenseType", ""),
        ("hybrid-benefit", "licenseType", "Windows_Server"),
        ("custom-image", "sku", ""),
        ("custom-image", "plan", NO_PLAN),
    ],
)
def test_a_kind_of_vm_has_its_members(profile: str, member: str, value: object) -> None:
    assert members(documents.attestation(profile))[member] == value


@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]])
def test_a_classic_vm_has_its_id_and_nothing_else_that_describes_it(version: str) -> None:
    vm = documents.vm("classic")
    said = members(hosts.attestation(vm), api_version=version)

    assert list(said) == ["nonce", "timeStamp", "vmId"] == FACTS["classic"]["members"]
    assert said["vmId"] == vm.vm_id


def test_a_pinned_service_makes_documents_of_its_time() -> None:
    pinned = hosts.attestation(documents.vm(), newest="2019-06-01")

    assert list(members(pinned)) == ["nonce", "plan", "subscriptionId", "timeStamp", "vmId"]


def test_attributes_that_are_assigned_are_in_the_next_document() -> None:
    vm = documents.vm()
    attestation = hosts.attestation(vm)
    before = members(attestation)
    vm.vm_id, vm.sku, vm.license_type, vm.plan.name = "an-id", "a-sku", "SLES_BYOS", "a-plan"

    after = members(attestation)

    assert before["vmId"] != "an-id"
    assert (after["vmId"], after["sku"], after["licenseType"], after["plan"]["name"]) == (
        "an-id",
        "a-sku",
        "SLES_BYOS",
        "a-plan",
    )


@pytest.mark.parametrize(
    ("pointer", "value", "member"),
    [
        ("/compute/licenseType", "Windows_Server", "licenseType"),
        ("/compute/vmId", "raw", "vmId"),
        ("/compute/sku", 7, "sku"),
        ("/compute/subscriptionId", "", "subscriptionId"),
        ("/compute/plan", {"name": "n"}, "plan"),
    ],
)
def test_an_override_of_the_instance_document_is_attested_too(pointer: str, value: Any, member: str) -> None:
    vm = documents.vm()
    vm.override(pointer, value)

    assert members(hosts.attestation(vm))[member] == value


@pytest.mark.parametrize("pointer", ["/compute/nonce", "/compute/timeStamp"])
def test_an_override_leaves_alone_what_is_not_of_the_vm(pointer: str) -> None:
    vm = documents.vm()
    vm.override(pointer, "raw")

    assert members(hosts.attestation(vm), nonce="abc")[pointer.rpartition("/")[2]] != "raw"


def test_an_override_of_what_an_api_version_has_not_stays_out_of_its_document() -> None:
    vm = documents.vm()
    vm.override("/compute/licenseType", "Windows_Server")

    assert "licenseType" not in members(hosts.attestation(vm), api_version="2019-11-01")


@pytest.mark.parametrize(
    ("keyword", "member", "value"),
    [
        ("license_type", "licenseType", "Windows_Client"),
        ("plan", "plan", {"name": "a", "product": "b", "publisher": "c"}),
        ("sku", "sku", "11-lvm"),
        ("subscription_id", "subscriptionId", "a-subscription"),
        ("vm_id", "vmId", ""),
    ],
)
def test_a_keyword_changes_its_member_alone(linux: Attestation, keyword: str, member: str, value: object) -> None:
    asked = {"created_on": NOON, "nonce": "abc"}

    assert members(linux, **asked, **{keyword: value}) == {**members(linux, **asked), member: value}
    assert content.KEYWORDS[keyword] == member


def test_a_keyword_may_say_what_the_api_version_has_not(linux: Attestation) -> None:
    assert members(linux, api_version="2018-10-01", sku="a-sku")["sku"] == "a-sku"


def test_a_document_lasts_six_hours_from_now(monkeypatch: pytest.MonkeyPatch, linux: Attestation) -> None:
    monkeypatch.setattr("time.time", NOON.timestamp)

    assert members(linux)["timeStamp"] == {
        "createdOn": "03/04/26 12:05:06 -0000",
        "expiresOn": "03/04/26 18:05:06 -0000",
    }


def test_a_document_without_a_nonce_has_its_expiry_as_nonce(
    monkeypatch: pytest.MonkeyPatch, linux: Attestation
) -> None:
    monkeypatch.setattr("time.time", NOON.timestamp)

    assert members(linux)["nonce"] == "20260304-180506"


def test_times_may_be_said(linux: Attestation) -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-7)))

    said = members(linux, created_on=elsewhere, expires_on=NOON + timedelta(seconds=45))

    assert said["timeStamp"] == {"createdOn": "03/04/26 12:05:06 -0000", "expiresOn": "03/04/26 12:05:51 -0000"}
    assert said["nonce"] == "20260304-120551"


def test_six_hours_are_counted_from_the_time_that_is_said(linux: Attestation) -> None:
    assert members(linux, created_on=NOON)["timeStamp"]["expiresOn"] == "03/04/26 18:05:06 -0000"


def test_the_content_is_compact_json_in_alphabetical_order() -> None:
    raw = documents.opened(documents.attestation("marketplace").document()).content

    assert raw == json.dumps(json.loads(raw), separators=(",", ":"), sort_keys=True).encode()


def test_what_utf_8_can_say_is_not_escaped(linux: Attestation) -> None:
    raw = documents.opened(linux.document(sku="größe 大")).content

    assert '"sku":"größe 大"'.encode() in raw


@pytest.mark.parametrize("stamp", ["03/04/26 12:05:06 -0000"])
def test_a_time_is_read_as_it_was_written(stamp: str) -> None:
    assert content.seconds(stamp) == int(NOON.timestamp())
    assert content.time_stamp(int(NOON.timestamp()), 0)["createdOn"] == stamp


@pytest.mark.parametrize("stamp", ["", "03/04/2026 12:05:06 -0000", "03/04/26 12:05:06 +0000", "2026-03-04", None, 5])
def test_what_is_no_time_of_a_document_is_refused(stamp: object) -> None:
    with pytest.raises(ValueError, match="does not match format"):
        content.seconds(stamp)


@pytest.mark.parametrize("nonce", ["a", "0", "-", "_", "1234567890", "Yi09ymh-yIl4_zkmA6kIki4mDPpUlVxK", "A" * 32])
def test_a_nonce_of_1_to_32_letters_digits_hyphens_and_underscores_is_signed(linux: Attestation, nonce: str) -> None:
    assert members(linux, nonce=nonce)["nonce"] == nonce


@every("nonce", ["", "a" * 33, "a b", "a.b", "a\n", "é", "\u0661\u0662", "\uff11", "a+b", "a=", 5, b"a"])
def test_any_other_nonce_is_refused_with_what_is_right(linux: Attestation, nonce: Any) -> None:
    for ask in (linux.document, partial(linux.forge, "truncated"), partial(linux.verify, "")):
        with pytest.raises(ImdsUsageError, match="1 to 32 letters, digits, - and _") as caught:
            ask(nonce=nonce)
        assert caught.value.received == nonce
