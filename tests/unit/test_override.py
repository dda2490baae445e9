"""vm.override(): raw JSON in the place of what the model would show."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_imds import ImdsUsageError, Vm, data
from pytest_imds.vm.projection import view
from pytest_imds.vm.provider import generate, generator

VERSIONS = [row["version"] for row in data.read("api_versions")["versions"]]
NEWEST = VERSIONS[-1]


def document(vm: Vm, version: str = NEWEST, *, extended: bool = False) -> Any:
    return view(vm, version, extended=extended).document()


@pytest.fixture
def vm() -> Vm:
    return generate(generator(), "linux", "override", {"tags": {"stage": "test"}, "nics": 2})


@pytest.mark.parametrize("value", ["Windows_Server", True, 7, {"b": ["x"]}, []])
def test_a_known_leaf_shows_the_value_as_it_is(vm: Vm, value: Any) -> None:
    vm.override("/compute/licenseType", value)

    shown = document(vm)["compute"]["licenseType"]
    assert (shown, type(shown)) == (value, type(value))


def test_an_override_wins_over_what_is_assigned_later(vm: Vm) -> None:
    vm.override("/compute/licenseType", "Windows_Server")
    vm.license_type = "RHEL_BYOS"

    assert document(vm)["compute"]["licenseType"] == "Windows_Server"


def test_the_later_of_two_overrides_wins(vm: Vm) -> None:
    vm.override("/compute/licenseType", "Windows_Server")
    vm.override("/compute/licenseType", "Windows_Client")

    assert document(vm)["compute"]["licenseType"] == "Windows_Client"


def test_only_the_place_itself_changes(vm: Vm) -> None:
    before = document(vm)
    vm.override("/compute/plan/name", "gold")

    after = document(vm)
    assert after["compute"]["plan"].pop("name") == "gold"
    before["compute"]["plan"].pop("name")
    assert after == before


@pytest.mark.parametrize(
    ("pointer", "since"),
    [
        ("/compute/licenseType", "2020-09-01"),
        ("/compute/storageProfile/resourceDisk", "2021-02-01"),
        ("/compute/osProfile/adminUsername", "2020-07-15"),
        ("/compute/tagsList", "2019-06-04"),
        ("/compute/publicKeys", "2018-04-02"),
        ("/compute/tagsList/0/value", "2019-06-04"),
        ("/network/interface/0/macAddress", "2017-04-02"),
    ],
)
def test_a_member_stays_away_from_the_versions_that_do_not_have_it(vm: Vm, pointer: str, since: str) -> None:
    vm.override(pointer, "mine")

    assert [version for version in VERSIONS if "mine" in str(document(vm, version))] == [
        version for version in VERSIONS if version >= since
    ]


@pytest.mark.parametrize("pointer", ["/compute/zebra", "/compute/newMember", "/network/interface/1/speed"])
def test_a_member_that_no_version_has_is_added_to_all(vm: Vm, pointer: str) -> None:
    vm.override(pointer, "mine")

    assert all("mine" in str(document(vm, version)) for version in VERSIONS)


def test_keys_stay_in_order_around_an_added_member(vm: Vm) -> None:
    vm.override("/compute/newMember", "mine")
    vm.override("/compute/Capital", "mine")

    keys = list(document(vm)["compute"])
    assert keys == sorted(keys)
    assert {"newMember", "Capital"} <= set(keys)


def test_an_item_of_an_array_is_replaced(vm: Vm) -> None:
    first = document(vm)["network"]["interface"][0]
    vm.override("/network/interface/1", {"macAddress": "000D3A000001"})

    assert document(vm)["network"]["interface"] == [first, {"macAddress": "000D3A000001"}]


def test_a_member_of_an_item_is_replaced(vm: Vm) -> None:
    vm.override("/compute/tagsList/0/value", "mine")

    assert document(vm)["compute"]["tagsList"] == [{"name": "stage", "value": "mine"}]


def test_the_extended_part_can_be_overridden(vm: Vm) -> None:
    vm.override("/extended/compute/ppsType", "Running")

    assert document(vm, extended=True)["extended"]["compute"]["ppsType"] == "Running"
    assert "extended" not in document(vm)


def test_escapes_in_the_pointer_stand_for_slash_and_tilde(vm: Vm) -> None:
    vm.override("/compute/a~1b~0c", "mine")

    assert document(vm)["compute"]["a/b~c"] == "mine"


def test_the_users_own_object_is_left_as_it_is(vm: Vm) -> None:
    plan: Any = {"publisher": "x", "name": "gold"}
    vm.override("/compute/plan", plan)
    vm.override("/compute/plan/name", "silver")

    assert document(vm)["compute"]["plan"]["name"] == "silver"
    assert list(plan.items()) == [("publisher", "x"), ("name", "gold")]


def test_an_override_that_a_shorter_array_has_no_place_for_is_passed_over(vm: Vm) -> None:
    vm.override("/network/interface/1/macAddress", "mine")
    del vm.interfaces[1]

    assert len(document(vm)["network"]["interface"]) == 1
    assert "mine" not in str(document(vm))


@pytest.mark.parametrize(
    "pointer",
    [
        "",
        "/",
        "compute/licenseType",
        "/nowhere/licenseType",
        "/compute/licenseType/deeper",
        "/compute/nothing/deeper",
        "/network/interface/2/macAddress",
        "/network/interface/2",
        "/network/interface/-1",
        "/network/interface/-",
        "/network/interface/00",
        "/network/interface/first",
    ],
)
def test_a_pointer_that_leads_nowhere_is_refused_with_an_example(vm: Vm, pointer: str) -> None:
    with pytest.raises(ImdsUsageError) as caught:
        vm.override(pointer, "mine")

    assert repr(pointer) in str(caught.value)
    assert "/compute/licenseType" in str(caught.value)
    assert vm.overrides == {}


def test_a_classic_vm_has_no_compute_to_override(vm: Vm) -> None:
    vm.classic = True

    with pytest.raises(ImdsUsageError, match="/compute/licenseType"):
        vm.override("/compute/licenseType", "mine")
