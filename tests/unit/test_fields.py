"""Every field in every api-version: there or not, of which type, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from pytest_imds import Vm, data
from pytest_imds.vm.network import IpAddressBlock
from pytest_imds.vm.projection import view
from pytest_imds.vm.provider import generate, generator
from tests.every import every

SCHEMA: dict[str, dict[str, Any]] = data.read("schema")
VERSIONS = [row["version"] for row in data.read("api_versions")["versions"]]
PRIMITIVES = {"string": str, "boolean": bool}
STRUCTURES = {"object": dict, "array": list}


@cache
def full_vm() -> Vm:
    """A VM that has at least one item in every array."""
    knobs = {"data_disks": 1, "ipv6": True, "tags": {"stage": "test"}, "image": "ubuntu-24.04"}
    vm = generate(generator(), "linux", "fields", knobs)
    block = [IpAddressBlock("10.9.8.0", "28")]
    vm.interfaces[0].ipv4.ip_address_blocks = block
    vm.interfaces[0].ipv6.ip_address_blocks = block
    return vm


@cache
def full_document(version: str) -> dict[str, Any]:
    return view(full_vm(), version, extended=True).document()


def found(node: Any, path: str) -> list[Any]:
    """What stands at ``path``, which is written as in the schema: ``compute.tagsList[].name``."""
    nodes = [node]
    for name in path.split("."):
        owners = [item for node in nodes for item in (node if isinstance(node, list) else [node])]
        nodes = [owner[name.removesuffix("[]")] for owner in owners if name.removesuffix("[]") in owner]
    return nodes


def paths(node: Any, parent: str = "") -> Iterator[str]:
    """The paths of everything below ``node``, written as in the schema, in the order of the document."""
    for key, value in node.items():
        path = f"{parent}{key}" + ("[]" if isinstance(value, list) else "")
        yield path
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, dict):
                yield from paths(child, f"{path}.")


def objects(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from objects(child)


@every("path", SCHEMA)
def test_a_field_is_shown_from_its_first_version_to_its_last(path: str) -> None:
    shown_in = [version for version in VERSIONS if found(full_document(version), path)]

    last = SCHEMA[path].get("until", VERSIONS[-1])
    assert shown_in == VERSIONS[VERSIONS.index(SCHEMA[path]["since"]) : VERSIONS.index(last) + 1]


@every("path", SCHEMA)
def test_a_field_has_its_json_type_in_every_version(path: str) -> None:
    values = [value for version in VERSIONS for value in found(full_document(version), path)]

    assert {type(value) for value in values} == {(PRIMITIVES | STRUCTURES)[SCHEMA[path]["type"]]}


@every("version", VERSIONS)
def test_a_version_shows_nothing_that_the_schema_does_not_have(version: str) -> None:
    assert set(paths(full_document(version))) <= SCHEMA.keys()


@every("version", VERSIONS)
def test_keys_are_in_ascii_order_at_every_level(version: str) -> None:
    for node in objects(full_document(version)):
        assert list(node) == sorted(node, key=lambda key: key.encode("ascii"))


def test_has_custom_data_is_the_only_primitive_that_is_no_string() -> None:
    primitives = {path: field["type"] for path, field in SCHEMA.items() if field["type"] not in STRUCTURES}

    assert {path for path, kind in primitives.items() if kind != "string"} == {"extended.compute.hasCustomData"}


@every("version", VERSIONS)
def test_extended_is_left_out_unless_it_is_asked_for(version: str) -> None:
    assert "extended" not in view(full_vm(), version).document()


@every(
    ("path", "absent"),
    [
        ("compute.customData", ""),
        ("compute.evictionPolicy", ""),
        ("compute.extendedLocation", {"name": "", "type": ""}),
        ("compute.host", {"id": ""}),
        ("compute.hostGroup", {"id": ""}),
        ("compute.interconnectGroupId", ""),
        ("compute.isVmInStandbyPool", ""),
        ("compute.licenseType", ""),
        ("compute.physicalZone", ""),
        ("compute.placementGroupId", ""),
        ("compute.plan", {"name": "", "product": "", "publisher": ""}),
        ("compute.platformSubFaultDomain", ""),
        ("compute.priority", ""),
        ("compute.publicKeys[]", []),
        ("compute.securityProfile.securityType", ""),
        ("compute.storageProfile.dataDisks[]", []),
        ("compute.storageProfile.imageReference.id", ""),
        ("compute.storageProfile.osDisk.diffDiskSettings.option", ""),
        ("compute.storageProfile.osDisk.encryptionSettings.diskEncryptionKey.secretUrl", ""),
        ("compute.storageProfile.osDisk.encryptionSettings.keyEncryptionKey.sourceVault", {"id": ""}),
        ("compute.storageProfile.osDisk.image.uri", ""),
        ("compute.storageProfile.osDisk.vhd.uri", ""),
        ("compute.tags", ""),
        ("compute.tagsList[]", []),
        ("compute.userData", ""),
        ("compute.virtualMachineScaleSet.id", ""),
        ("compute.vmScaleSetName", ""),
        ("compute.zone", ""),
        ("network.interface[].interfaceCompartmentID", ""),
        ("network.interface[].ipv4.ipAddress[].publicIpAddress", ""),
        ("network.interface[].ipv4.ipAddressBlock[]", []),
        ("network.interface[].ipv6.ipAddress[]", []),
        ("network.interface[].ipv6.ipAddressBlock[]", []),
    ],
)
def test_what_a_vm_does_not_have_is_there_and_empty(path: str, absent: Any) -> None:
    vm = generate(generator(), "minimal", "fields", {})
    versions = VERSIONS[VERSIONS.index(SCHEMA[path]["since"]) :]

    assert [found(view(vm, version).document(), path) for version in versions] == [[absent]] * len(versions)


def test_2017_03_01_has_its_own_spelling_of_the_network() -> None:
    vm = full_vm()
    interface = vm.interfaces[0]
    subnet = interface.ipv4.subnets[0]

    assert view(vm, "2017-03-01").document()["network"] == {
        "interface": [
            {
                "ipv4": {
                    "ipaddress": [{"ipaddress": interface.ipv4.ip_addresses[0].private_ip_address, "publicip": ""}],
                    "subnet": [
                        {
                            "address": subnet.address,
                            "dnsservers": [{"ipaddress": subnet.dns_servers[0]}],
                            "prefix": subnet.prefix,
                        }
                    ],
                },
                "ipv6": {"ipaddress": [{"ipaddress": interface.ipv6.ip_addresses[0].private_ip_address}]},
                "mac": interface.mac_address,
            }
        ]
    }
