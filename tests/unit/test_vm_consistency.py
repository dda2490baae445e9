"""The parts of a generated VM agree with one another, whatever the profile and the seed."""

from __future__ import annotations

import re
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from faker import Faker

from pytest_imds import ImdsProvider, ImdsUsageError, Vm, data
from pytest_imds.vm import profiles
from pytest_imds.vm.projection import view
from pytest_imds.vm.provider import generate, generator
from tests.every import every

CLOUDS: dict[str, Any] = data.read("clouds")["clouds"]
SIZES: dict[str, Any] = data.read("sizes")["sizes"]
IMAGES: dict[str, Any] = data.read("images")["images"]
NETWORK: dict[str, Any] = data.read("network")
FAKE = generator()
NEWEST = data.read("api_versions")["versions"][-1]["version"]
SEEDS = range(3)

of_every_vm = every(("profile", "seed"), product(profiles.names(), SEEDS))


@cache
def generated(profile: str, seed: int) -> Vm:
    return generate(FAKE, profile, seed, {})


@of_every_vm
def test_the_resource_id_is_built_from_subscription_group_and_name(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    start = f"/subscriptions/{vm.subscription_id}/resourceGroups/{vm.resource_group_name}/providers/Microsoft.Compute"
    name, _, instance = vm.name.rpartition("_")
    uniform = bool(vm.vm_scale_set_name) and not vm.virtual_machine_scale_set.id

    assert vm.resource_id == (
        f"{start}/virtualMachineScaleSets/{name}/virtualMachines/{instance}"
        if uniform
        else f"{start}/virtualMachines/{vm.name}"
    )
    assert not uniform or name == vm.vm_scale_set_name


@of_every_vm
def test_a_flexible_scale_set_is_named_by_its_id(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    group = vm.resource_id.rpartition("/virtualMachine")[0]

    assert vm.virtual_machine_scale_set.id in (
        "",
        f"{group}/virtualMachineScaleSets/{vm.vm_scale_set_name}",
    )


@of_every_vm
def test_every_disk_and_image_of_ones_own_is_in_the_vms_resource_group(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    storage = vm.storage_profile
    ids = [storage.os_disk.managed_disk.id, *(disk.managed_disk.id for disk in storage.data_disks)]
    ids += [storage.image_reference.id] if storage.image_reference.id else []
    group = f"/subscriptions/{vm.subscription_id}/resourceGroups/{vm.resource_group_name}/providers/Microsoft.Compute/"

    assert [one for one in ids if not one.startswith(group)] == []
    assert storage.os_disk.managed_disk.id == f"{group}disks/{storage.os_disk.name}"


@of_every_vm
def test_ids_are_guids(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    ids = [vm.vm_id, vm.subscription_id, *([vm.placement_group_id] if vm.placement_group_id else [])]

    assert [str(UUID(one)) for one in ids] == ids
    assert len(set(ids)) == len(ids)


@of_every_vm
def test_addresses_lie_in_their_subnets_and_azures_own_are_left_out(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    for interface in vm.interfaces:
        (subnet,) = interface.ipv4.subnets
        (address,) = interface.ipv4.ip_addresses
        network = IPv4Network(f"{subnet.address}/{subnet.prefix}")
        place = int(IPv4Address(address.private_ip_address)) - int(network.network_address)
        assert NETWORK["first_host"] <= place < network.num_addresses - 1
        assert network.is_private


@of_every_vm
def test_interfaces_share_no_subnet_and_no_mac_address(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    subnets = [subnet.address for interface in vm.interfaces for subnet in interface.ipv4.subnets]
    macs = [interface.mac_address for interface in vm.interfaces]

    assert len(set(subnets)) == len(set(macs)) == len(vm.interfaces)


@of_every_vm
def test_mac_addresses_are_microsofts_and_in_twelve_capital_hex_digits(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    for interface in vm.interfaces:
        assert re.fullmatch(r"[0-9A-F]{12}", interface.mac_address)
        assert interface.mac_address[:6] in NETWORK["mac_prefixes"]


@of_every_vm
def test_ipv6_addresses_are_unique_local_ones(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    for interface in vm.interfaces:
        for address in interface.ipv6.ip_addresses:
            assert IPv6Address(address.private_ip_address).is_private
            assert address.private_ip_address.startswith("fd")


@of_every_vm
def test_public_keys_are_ssh_rsa_keys_of_2048_bits(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    for public_key in vm.public_keys:
        assert public_key.key_data.startswith("ssh-rsa ")
        parsed = load_ssh_public_key(public_key.key_data.encode())
        assert isinstance(parsed, RSAPublicKey)
        assert parsed.key_size == 2048
        assert public_key.path == f"/home/{vm.os_profile.admin_username}/.ssh/authorized_keys"


@of_every_vm
def test_either_a_key_or_a_password_signs_in(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    switch = vm.os_profile.disable_password_authentication

    assert switch is (None if vm.os_type == "Windows" else bool(vm.public_keys))


@of_every_vm
def test_windows_has_no_keys_and_no_switch_for_passwords(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    shown: Any = view(vm, NEWEST).document().get("compute")
    if shown and shown["osType"] == "Windows":
        assert shown["publicKeys"] == []
        assert shown["osProfile"]["disablePasswordAuthentication"] == ""


@of_every_vm
def test_the_image_and_the_operating_system_agree(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    assert vm.storage_profile.os_disk.os_type == vm.os_type
    reference = vm.storage_profile.image_reference
    assert (reference.publisher, reference.offer, reference.sku) == (vm.publisher, vm.offer, vm.sku)
    assert reference.exact_version == vm.version
    if vm.publisher:
        assert offer_of(vm)["os_type"] == vm.os_type
        assert offer_of(vm)["os_disk_size_gb"] == vm.storage_profile.os_disk.disk_size_gb
        assert (reference.id, reference.version) == ("", "latest")
    else:
        assert reference.id != ""


def offer_of(vm: Vm) -> dict[str, Any]:
    """The marketplace's row of the VM's image."""
    key = (vm.publisher, vm.offer, vm.sku, vm.version)
    (row,) = [
        row for row in IMAGES.values() if tuple(row[part] for part in ("publisher", "offer", "sku", "version")) == key
    ]
    return dict(row)


@of_every_vm
def test_the_licence_fits_the_image(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    if vm.publisher:
        assert vm.license_type in ("", offer_of(vm).get("license_type"))


@of_every_vm
def test_only_an_image_with_a_plan_has_one_and_it_is_named_after_it(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    planned = bool(vm.publisher) and offer_of(vm).get("plan", False)

    expected = (vm.sku, vm.offer, vm.publisher) if planned else ("", "", "")
    assert (vm.plan.name, vm.plan.product, vm.plan.publisher) == expected


@of_every_vm
def test_security_type_image_and_size_agree(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    security = vm.security_profile
    assert security.secure_boot_enabled == security.virtual_tpm_enabled == bool(security.security_type)
    assert SIZES[vm.vm_size]["confidential"] == (security.security_type == "ConfidentialVM")
    assert SIZES[vm.vm_size]["trusted_launch"] or security.security_type != "TrustedLaunch"
    needed = {"TrustedLaunch": "trusted_launch", "ConfidentialVM": "confidential"}.get(security.security_type)
    assert needed is None or offer_of(vm)[needed]


@of_every_vm
def test_the_size_exists_and_allows_the_disks_and_the_interfaces(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    limits = SIZES[vm.vm_size]
    storage = vm.storage_profile

    assert len(storage.data_disks) <= limits["max_data_disks"]
    assert len(vm.interfaces) <= limits["max_nics"]
    assert storage.resource_disk.size == limits["resource_disk_mib"]
    if storage.os_disk.diff_disk_settings.option == "Local":
        assert storage.os_disk.disk_size_gb <= limits["ephemeral_os_disk_gb"]
        assert storage.os_disk.caching == "ReadOnly"


@of_every_vm
def test_the_luns_of_the_data_disks_count_up(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    assert [disk.lun for disk in vm.storage_profile.data_disks] == list(range(len(vm.storage_profile.data_disks)))


@of_every_vm
def test_the_region_is_the_clouds_and_has_the_zone(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    assert_region_fits(vm)


@every(("profile", "seed", "cloud"), product(profiles.names(), SEEDS, CLOUDS))
def test_in_every_cloud_the_region_is_the_clouds_and_has_the_zone(profile: str, seed: int, cloud: str) -> None:
    if profile == "edge-zone" and not any(region.get("edge_zones") for region in CLOUDS[cloud]["regions"].values()):
        with pytest.raises(ImdsUsageError, match=f"no region of {cloud}"):
            generate(FAKE, profile, seed, {"cloud": cloud})
        return
    vm = generate(FAKE, profile, seed, {"cloud": cloud})

    assert vm.cloud == cloud
    assert_region_fits(vm)


def assert_region_fits(vm: Vm) -> None:
    region = CLOUDS[vm.cloud]["regions"][vm.location]
    assert vm.zone in ("", *(str(number + 1) for number in range(region["zones"])))
    assert vm.physical_zone == (f"{vm.location}-AZ0{vm.zone}" if vm.zone else "")
    place = vm.extended_location
    assert place.type == ("EdgeZone" if place.name else "")
    assert place.name in ("", *region.get("edge_zones", []))


@of_every_vm
def test_a_computer_name_is_one_that_the_operating_system_takes(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    name = vm.os_profile.computer_name

    assert re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", name)
    assert len(name) <= (15 if vm.os_type == "Windows" else 63)


@of_every_vm
def test_an_instances_computer_name_ends_in_six_base_36_digits(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    if vm.vm_scale_set_name:
        name, digits = vm.os_profile.computer_name[:-6], vm.os_profile.computer_name[-6:]
        assert vm.vm_scale_set_name.startswith(name)
        instance = vm.name.rpartition("_")[2]
        assert vm.virtual_machine_scale_set.id or int(digits, 36) == int(instance)


@of_every_vm
def test_the_same_seed_gives_the_same_vm(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    generate(FAKE, "windows", "another one in between", {"nics": 2})

    assert generate(FAKE, profile, seed, {}) == vm


@of_every_vm
def test_another_seed_gives_another_vm(profile: str, seed: int) -> None:
    vm = generated(profile, seed)
    other = generated(profile, seed + 1)

    assert (other.vm_id, other.subscription_id) != (vm.vm_id, vm.subscription_id)
    assert other.interfaces[0].mac_address != vm.interfaces[0].mac_address


@cache
def japanese() -> Faker:
    fake = Faker("ja_JP")
    fake.add_provider(ImdsProvider)
    return fake


@of_every_vm
def test_a_faker_of_any_language_makes_vms_in_ascii(profile: str, seed: int) -> None:
    japanese().seed_instance(seed)

    assert str(japanese().imds_vm(profile)).isascii()
