"""What happens to a VM's document when a test changes the VM."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest

from pytest_imds import Vm, data
from pytest_imds.vm.model import PublicKey
from pytest_imds.vm.network import IpAddress
from pytest_imds.vm.projection import view
from pytest_imds.vm.provider import generate, generator
from pytest_imds.vm.storage import DataDisk

VERSIONS = [row["version"] for row in data.read("api_versions")["versions"]]
NEWEST = VERSIONS[-1]


def document(vm: Vm, version: str = NEWEST, *, extended: bool = False) -> Any:
    return view(vm, version, extended=extended).document()


@pytest.fixture
def vm() -> Vm:
    return generate(generator(), "linux", "model", {"tags": {"stage": "test"}})


@pytest.fixture
def scale_set_vm() -> Vm:
    return generate(generator(), "scale-set", "model", {"tags": {"stage": "test"}})


def assign(path: str, value: object) -> Callable[[Vm], None]:
    """A change of the attribute at ``path``, such as ``os_profile.admin_username``."""

    def change(vm: Vm) -> None:
        *owners, name = path.split(".")
        owner: object = vm
        for part in owners:
            owner = getattr(owner, part)
        setattr(owner, name, value)

    return change


@pytest.mark.parametrize(
    ("change", "pointer", "shown"),
    [
        (assign("vm_size", "Standard_M8ms"), "/compute/vmSize", "Standard_M8ms"),
        (assign("cloud", "AzureChinaCloud"), "/compute/azEnvironment", "AzureChinaCloud"),
        (assign("os_profile.admin_username", "root"), "/compute/osProfile/adminUsername", "root"),
        (assign("host_group.id", "/somewhere"), "/compute/hostGroup/id", "/somewhere"),
        (assign("plan.product", "a plan"), "/compute/plan/product", "a plan"),
        (assign("storage_profile.os_disk.managed_disk.id", "d"), "/compute/storageProfile/osDisk/managedDisk/id", "d"),
        (lambda vm: vm.public_keys.append(PublicKey("ssh-rsa AAAA", "/k")), "/compute/publicKeys/1/path", "/k"),
        (
            lambda vm: vm.storage_profile.data_disks.append(DataDisk(lun=5)),
            "/compute/storageProfile/dataDisks/0/lun",
            "5",
        ),
        (
            lambda vm: vm.interfaces[0].ipv6.ip_addresses.append(IpAddress("fd00::4")),
            "/network/interface/0/ipv6/ipAddress/0/privateIpAddress",
            "fd00::4",
        ),
        (
            lambda vm: setattr(vm.interfaces[0], "mac_address", "000D3A000001"),
            "/network/interface/0/macAddress",
            "000D3A000001",
        ),
    ],
)
def test_what_is_assigned_is_shown_at_once(vm: Vm, change: Callable[[Vm], None], pointer: str, shown: str) -> None:
    document(vm)  # what was shown before must not stick
    change(vm)

    assert at(document(vm), pointer) == shown


def at(node: Any, pointer: str) -> Any:
    for segment in pointer[1:].split("/"):
        node = node[int(segment)] if isinstance(node, list) else node[segment]
    return node


@pytest.mark.parametrize(
    ("value", "shown"), [(True, "true"), (False, "false"), (None, ""), (0, "0"), (7, "7"), ("as it is", "as it is")]
)
def test_whatever_python_type_an_attribute_has_a_string_is_shown(vm: Vm, value: object, shown: str) -> None:
    vm.os_profile.disable_password_authentication = value  # type: ignore[assignment]

    assert document(vm)["compute"]["osProfile"]["disablePasswordAuthentication"] == shown


@pytest.mark.parametrize("value", [True, False])
def test_has_custom_data_stays_a_json_boolean(vm: Vm, value: bool) -> None:
    vm.has_custom_data = value

    assert document(vm, extended=True)["extended"]["compute"]["hasCustomData"] is value


def test_a_classic_vm_shows_its_network_alone(vm: Vm) -> None:
    vm.classic = True

    assert {tuple(document(vm, version)) for version in VERSIONS} == {("network",)}


def test_tags_and_tags_list_say_the_same(vm: Vm) -> None:
    vm.tags = {"b": "2", "a": "1", "empty": ""}

    compute = document(vm)["compute"]
    assert compute["tags"] == "b:2;a:1;empty:"
    assert compute["tagsList"] == [
        {"name": "b", "value": "2"},
        {"name": "a", "value": "1"},
        {"name": "empty", "value": ""},
    ]


def test_the_changed_tags_of_a_single_vm_are_shown_at_once(vm: Vm) -> None:
    vm.tags["colour"] = "blue"

    assert document(vm)["compute"]["tags"] == "stage:test;colour:blue"


def test_the_changed_tags_of_a_scale_sets_vm_are_not_shown_at_once(scale_set_vm: Vm) -> None:
    scale_set_vm.tags["colour"] = "blue"

    compute = document(scale_set_vm)["compute"]
    assert (compute["tags"], compute["tagsList"]) == ("stage:test", [{"name": "stage", "value": "test"}])


@pytest.mark.parametrize(
    "event",
    [
        Vm.reboot,
        Vm.reimage,
        lambda vm: vm.storage_profile.data_disks.append(DataDisk(lun=0)),
        lambda vm: setattr(vm.storage_profile.os_disk, "disk_size_gb", 512),
    ],
    ids=["reboot", "reimage", "new data disk", "larger OS disk"],
)
def test_the_changed_tags_of_a_scale_sets_vm_are_shown_after(event: Callable[[Vm], None], scale_set_vm: Vm) -> None:
    scale_set_vm.tags["colour"] = "blue"
    document(scale_set_vm)
    event(scale_set_vm)

    assert document(scale_set_vm)["compute"]["tags"] == "stage:test;colour:blue"


def test_a_scale_sets_vm_shows_later_changes_after_the_next_reboot_alone(scale_set_vm: Vm) -> None:
    scale_set_vm.tags["colour"] = "blue"
    scale_set_vm.reboot()
    scale_set_vm.tags["colour"] = "green"

    assert document(scale_set_vm)["compute"]["tags"] == "stage:test;colour:blue"


def test_an_enum_of_strings_is_served_as_its_value(scale_set_vm: Vm) -> None:
    class Priority(str, Enum):
        SPOT = "Spot"

    scale_set_vm.priority = Priority.SPOT

    assert '"priority":"Spot"' in str(view(scale_set_vm, "2021-02-01").json(("compute",)))
