"""The VMs of a fleet: what they share, what each has of its own, and a VM that stands alone beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from pytest_imds import Fleet, ImdsServer, ImdsUsageError, Vm
from pytest_imds.vm import profiles
from pytest_imds.vm.provider import generate, generator
from tests.every import every

FAKE = generator()
SEEDS = range(2)
# All that a VM may have, so that all of it is compared.
RICH = {"ipv6": True, "user_identities": 2, "public_ip": "basic", "load_balancer": "standard", "data_disks": 2}
OWN = {
    *("vm_id", "name", "resource_id", "os_profile.computer_name"),
    *("storage_profile.os_disk.name", "storage_profile.os_disk.managed_disk.id"),
    *("storage_profile.data_disks.*.name", "storage_profile.data_disks.*.managed_disk.id"),
    "interfaces.*.mac_address",
    "interfaces.*.ipv4.ip_addresses.*.private_ip_address",
    "interfaces.0.ipv4.ip_addresses.0.public_ip_address",
    "interfaces.*.ipv6.ip_addresses.*.private_ip_address",
    "load_balancer.inbound_rules.*.private_ip_address",
    "load_balancer.outbound_rules.*.private_ip_address",
}
# There are so many of these that VMs have the same.
IN_TURN = {"platform_fault_domain": 3, "platform_update_domain": 5}
# A system-assigned identity is the VM's own, unless it is that of its uniform scale set.
OWN_IDENTITY = {"identities.0.client_id", "identities.0.object_id"}


def fleet(profile: str, seed: int | str, count: int, **knobs: object) -> list[Vm]:
    return [generate(FAKE, profile, seed, knobs, member) for member in range(count)]


@cache
def rich(profile: str, seed: int) -> list[Vm]:
    return fleet(profile, seed, 5, **RICH)


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if children is None:
        yield path, node
        return
    for key, child in children:
        yield from leaves(child, f"{path}.{key}".removeprefix("."))


def is_one_of(path: str, patterns: set[str]) -> bool:
    return re.sub(r"(?<=\.)\d+(?=\.)", "*", path) in patterns or path in patterns


def values(vms: list[Vm]) -> dict[str, list[Any]]:
    """Every leaf of the VMs, by its path, but for what a VM remembers of its last boot."""
    rows = [{path: value for path, value in leaves(asdict(vm)) if not path.startswith("_")} for vm in vms]
    assert all(row.keys() == rows[0].keys() for row in rows)
    return {path: [row[path] for row in rows] for path in rows[0]}


@every("seed", SEEDS)
@every("profile", profiles.names())
def test_members_have_their_own_and_share_the_rest(profile: str, seed: int) -> None:
    vms = rich(profile, seed)
    uniform = "/virtualMachineScaleSets/" in vms[0].resource_id
    own = OWN if uniform else OWN | OWN_IDENTITY
    for path, found in values(vms).items():
        if path in IN_TURN:
            assert found == [(found[0] + place) % IN_TURN[path] for place in range(len(vms))], path
        else:
            # What holds for five holds for the first two of them: a member does not know how many there are.
            different = len({repr(value) for value in found})
            assert different == (len(vms) if is_one_of(path, own) else 1), (path, found)


@every("profile", profiles.names())
def test_what_is_compared_is_there(profile: str) -> None:
    vms = rich(profile, 0)
    paths = values(vms)
    there = {pattern for pattern in OWN | OWN_IDENTITY if any(is_one_of(path, {pattern}) for path in paths)}

    assert there | (OWN_IDENTITY if vms[0].classic else set()) == OWN | OWN_IDENTITY


@every("profile", profiles.names())
def test_members_are_the_same_every_time_and_in_any_order(profile: str) -> None:
    vms = rich(profile, 1)

    assert [generate(FAKE, profile, 1, RICH, member) for member in (4, 0, 2)] == [vms[4], vms[0], vms[2]]
    assert generate(generator(), profile, 1, RICH, 3) == vms[3]
    assert generate(FAKE, profile, "another", RICH, 3) != vms[3]


@every("profile", profiles.names())
def test_a_vm_alone_is_the_same_beside_a_fleet(profile: str) -> None:
    alone = generate(generator(), profile, "alone", RICH)
    fleet(profile, "alone", 3, **RICH)

    assert generate(FAKE, profile, "alone", RICH) == alone
    assert generate(FAKE, profile, "alone", RICH, None) == alone


@every("profile", profiles.names())
def test_addresses_lie_in_the_subnet_that_members_share(profile: str) -> None:
    for place in range(len(rich(profile, 0)[0].interfaces)):
        interfaces = [vm.interfaces[place].ipv4 for vm in rich(profile, 0)]
        (subnet,) = {f"{one.subnets[0].address}/{one.subnets[0].prefix}" for one in interfaces}
        assert all(ip_address(one.ip_addresses[0].private_ip_address) in ip_network(subnet) for one in interfaces)


def test_a_subnet_has_addresses_for_a_great_fleet() -> None:
    count = 246  # 4 to 249: Azure keeps those before, a gateway load balancer has the next
    vms = fleet("linux", 0, count, public_ip="standard")
    addresses = [vm.interfaces[0].ipv4.ip_addresses[0].private_ip_address for vm in vms]
    frontends = [vm.load_balancer.public_ip_addresses[0] for vm in vms]

    assert len(set(addresses)) == count
    assert len({one.frontend_ip_address for one in frontends}) == count
    assert [one.private_ip_address for one in frontends] == addresses


def test_instances_of_a_uniform_set_are_numbered_on() -> None:
    vms = fleet("scale-set", 7, 5)
    first = int(vms[0].name.rpartition("_")[2])

    assert [vm.name for vm in vms] == [f"{vms[0].vm_scale_set_name}_{first + place}" for place in range(5)]
    assert [vm.resource_id.rpartition("/")[2] for vm in vms] == [str(first + place) for place in range(5)]


@pytest.mark.parametrize(("instance_id", "ends"), [(0, ["000000", "000001"]), (35, ["00000z", "000010"])])
def test_a_given_instance_id_is_the_first_members(instance_id: int, ends: list[str]) -> None:
    vms = fleet("scale-set", 7, 2, scale_set="web", instance_id=instance_id)

    assert [vm.name for vm in vms] == [f"web_{instance_id}", f"web_{instance_id + 1}"]
    assert [vm.os_profile.computer_name for vm in vms] == [f"web{end}" for end in ends]


def test_identities_of_a_uniform_set_are_the_sets() -> None:
    uniform, flexible = (fleet(profile, 3, 3, user_identities=1) for profile in ("scale-set", "scale-set-flex"))

    assert [vm.identities for vm in uniform] == [uniform[0].identities] * 3
    assert len({vm.identities[0].object_id for vm in flexible}) == 3
    assert len({vm.identities[1].object_id for vm in flexible}) == 1


@every("member", [0, 1])
@every("profile", ["linux", "scale-set", "scale-set-flex"])
@every("knob", ["name", "vm_id", "computer_name"])
def test_what_no_two_vms_share_is_refused(profile: str, knob: str, member: int) -> None:
    told = f"^the knob {knob} cannot be 'web-1'\\.\n  right: left out: each VM of a fleet has its own$"

    with pytest.raises(ImdsUsageError, match=told):
        generate(FAKE, profile, 0, {knob: "web-1"}, member)
    assert "web-1" in repr(generate(FAKE, profile, 0, {knob: "web-1"}))


@pytest.mark.parametrize("zone", ["1", 2])
def test_a_zone_that_is_given_is_that_of_all(zone: str | int) -> None:
    vms = fleet("scale-set", 0, 3, zone=zone, location="westeurope")

    assert [(vm.zone, vm.physical_zone) for vm in vms] == [(str(zone), f"westeurope-AZ0{zone}")] * 3
    assert [(vm.platform_fault_domain, vm.platform_update_domain) for vm in vms] == [(0, 0)] * 3


def test_a_fleet_that_is_given_no_zone_has_none() -> None:
    vms = [vm for seed in range(10) for vm in fleet("scale-set", seed, 2, location="westeurope")]

    assert {(vm.zone, vm.physical_zone) for vm in vms} == {("", "")}
    # A VM alone has one now and then.
    assert len({generate(FAKE, "scale-set", seed, {"location": "westeurope"}).zone for seed in range(10)}) > 1


@pytest.mark.parametrize("profile", ["windows", "hybrid-benefit"])
def test_host_names_of_windows_are_all_different(profile: str) -> None:
    # Seeds whose VMs have names of 15 characters, and numbers that grow to three digits.
    for seed in (733, 1222, 1774):
        names = [vm.os_profile.computer_name for vm in fleet(profile, seed, 3)]
        assert max(len(name) for name in names) <= 15
        assert len(set(names)) == 3, names


def test_assigning_to_a_member_changes_no_other() -> None:
    first, second = fleet("scale-set", 0, 2, user_identities=1)
    first.tags["role"] = "leader"
    first.identities.clear()
    first.load_balancer.refuse("internal")

    assert "role" not in second.tags
    assert (len(second.identities), second.load_balancer.refused) == (2, "")


@pytest.mark.parametrize("wrong", [{"chain": "2025"}, {"vm_size": "huge"}, {"identity_v2": "yes"}], ids=str)
def test_a_server_that_cannot_be_made_takes_no_place_in_its_fleet(wrong: dict[str, Any]) -> None:
    of_servers = Fleet()
    with pytest.raises(ImdsUsageError):
        ImdsServer(fleet=of_servers, **wrong)

    assert of_servers.size == 0
