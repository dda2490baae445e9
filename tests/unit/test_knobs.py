"""Every knob has its effect, and what cannot be is refused."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import fields
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import UUID

import pytest

from pytest_imds import ImdsUsageError, Vm, data
from pytest_imds.vm import profiles
from pytest_imds.vm.load_balancer import LoadBalancer
from pytest_imds.vm.profiles import Knobs
from pytest_imds.vm.projection import view
from pytest_imds.vm.provider import generate, generator
from tests.every import every

NEWEST = data.read("api_versions")["versions"][-1]["version"]
GUID = "11111111-2222-4333-8444-555555555555"
FAKE = generator()
PUBLIC = {of: ip_network(block) for of, block in data.read("network")["public_ranges"].items()}
NOTHING: dict[str, Any] = {}
WINDOWS = {"os_type": "Windows"}
SCALE_SET = {"scale_set": "shop"}

# The knob, its value, the knobs it needs beside it, where the document of the VM shows it, and what it shows there.
EFFECTS: list[tuple[str, Any, dict[str, Any], str, Any]] = [
    ("cloud", "AzureUSGovernmentCloud", NOTHING, "/compute/azEnvironment", "AzureUSGovernmentCloud"),
    ("location", "SwedenCentral", NOTHING, "/compute/location", "SwedenCentral"),
    ("zone", "2", NOTHING, "/compute/zone", "2"),
    ("zone", 3, NOTHING, "/compute/zone", "3"),
    ("zone", "", NOTHING, "/compute/zone", ""),
    ("zone", "1", {"location": "westeurope"}, "/compute/physicalZone", "westeurope-AZ01"),
    ("edge_zone", "perth", NOTHING, "/compute/extendedLocation", {"name": "perth", "type": "EdgeZone"}),
    ("edge_zone", "losangeles", NOTHING, "/compute/location", "westus"),
    ("edge_zone", True, {"location": "westus"}, "/compute/extendedLocation/name", "losangeles"),
    ("name", "mine", NOTHING, "/compute/name", "mine"),
    ("resource_group_name", "rg-mine", NOTHING, "/compute/resourceGroupName", "rg-mine"),
    ("subscription_id", GUID, NOTHING, "/compute/subscriptionId", GUID),
    ("vm_id", GUID, NOTHING, "/compute/vmId", GUID),
    ("vm_size", "Standard_D8s_v3", NOTHING, "/compute/vmSize", "Standard_D8s_v3"),
    ("vm_size", "Standard_D8s_v3", NOTHING, "/compute/storageProfile/resourceDisk/size", "65536"),
    ("vm_size", "Standard_New99_v9", NOTHING, "/compute/vmSize", "Standard_New99_v9"),
    ("os_type", "Windows", NOTHING, "/compute/osType", "Windows"),
    ("image", "debian-12", NOTHING, "/compute/offer", "debian-12"),
    ("image", "custom", NOTHING, "/compute/sku", ""),
    ("image", "gallery", WINDOWS, "/compute/storageProfile/imageReference/publisher", ""),
    ("tags", {"a": "1", "b": "2"}, NOTHING, "/compute/tags", "a:1;b:2"),
    ("user_data", "#!/bin/sh", NOTHING, "/compute/userData", b64encode(b"#!/bin/sh").decode()),
    ("user_data", b"\xff\x00", NOTHING, "/compute/userData", "/wA="),
    ("user_data", "\u00fc", NOTHING, "/compute/userData", "w7w="),
    ("admin_username", "root", NOTHING, "/compute/publicKeys/0/path", "/home/root/.ssh/authorized_keys"),
    ("admin_username", "root", WINDOWS, "/compute/osProfile/adminUsername", "root"),
    ("computer_name", "host1", NOTHING, "/compute/osProfile/computerName", "host1"),
    ("password", True, NOTHING, "/compute/publicKeys", []),
    ("password", True, NOTHING, "/compute/osProfile/disablePasswordAuthentication", "false"),
    ("license_type", "Windows_Client", NOTHING, "/compute/licenseType", "Windows_Client"),
    ("hybrid_benefit", True, WINDOWS, "/compute/licenseType", "Windows_Server"),
    ("hybrid_benefit", True, {"image": "sles-15"}, "/compute/licenseType", "SLES_BYOS"),
    ("priority", "Low", NOTHING, "/compute/priority", "Low"),
    ("priority", "Spot", NOTHING, "/compute/evictionPolicy", "Deallocate"),
    ("eviction_policy", "Delete", {"priority": "Spot"}, "/compute/evictionPolicy", "Delete"),
    ("scale_set", "shop", NOTHING, "/compute/vmScaleSetName", "shop"),
    ("scale_set", "shop", {"instance_id": 4}, "/compute/name", "shop_4"),
    ("orchestration", "flexible", SCALE_SET, "/compute/placementGroupId", ""),
    ("instance_id", 36, SCALE_SET, "/compute/osProfile/computerName", "shop000010"),
    ("security_type", "TrustedLaunch", NOTHING, "/compute/securityProfile/securityType", "TrustedLaunch"),
    ("security_type", "ConfidentialVM", WINDOWS, "/compute/securityProfile/virtualTpmEnabled", "true"),
    ("encryption_at_host", True, NOTHING, "/compute/securityProfile/encryptionAtHost", "true"),
    ("ephemeral_os_disk", True, NOTHING, "/compute/storageProfile/osDisk/diffDiskSettings/option", "Local"),
    ("data_disks", 2, NOTHING, "/compute/storageProfile/dataDisks/1/lun", "1"),
    ("nics", 2, NOTHING, "/network/interface/1/ipv6", {"ipAddress": [], "ipAddressBlock": []}),
    ("classic", True, NOTHING, "/compute", None),
]


def made(**knobs: object) -> Vm:
    return generate(FAKE, "linux", "knobs", knobs)


def at(node: Any, pointer: str) -> Any:
    for segment in pointer[1:].split("/"):
        node = node[int(segment)] if isinstance(node, list) else node.get(segment)
    return node


@every(("knob", "value", "beside", "pointer", "shown"), EFFECTS)
def test_a_knob_shows_in_the_document(knob: str, value: Any, beside: Any, pointer: str, shown: Any) -> None:
    assert at(view(made(**{knob: value}, **beside), NEWEST).document(), pointer) == shown


def test_ipv6_gives_every_interface_an_address() -> None:
    assert [len(interface.ipv6.ip_addresses) for interface in made(ipv6=True, nics=2).interfaces] == [1, 1]


def test_a_basic_public_ip_is_on_the_first_interface_alone() -> None:
    first, second = (interface.ipv4.ip_addresses[0] for interface in made(public_ip="basic", nics=2).interfaces)

    assert ip_address(first.public_ip_address) in PUBLIC["vm"]
    assert second.public_ip_address == ""


def test_a_standard_public_ip_is_on_no_interface_and_leads_to_the_first() -> None:
    vm = made(public_ip="standard", nics=2)
    first, second = (interface.ipv4.ip_addresses[0] for interface in vm.interfaces)
    (frontend,) = vm.load_balancer.public_ip_addresses

    assert (first.public_ip_address, second.public_ip_address) == ("", "")
    assert ip_address(frontend.frontend_ip_address) in PUBLIC["vm"]
    assert frontend.private_ip_address == first.private_ip_address


@pytest.mark.parametrize("public_ip", ["", "basic"])
def test_only_a_standard_public_ip_is_one_of_the_load_balancer(public_ip: str) -> None:
    assert made(public_ip=public_ip).load_balancer == LoadBalancer()


def test_a_standard_load_balancer_leads_to_the_first_interface_and_back() -> None:
    vm = made(load_balancer="standard", nics=2)
    one, other = vm.load_balancer.inbound_rules
    (back,) = vm.load_balancer.outbound_rules

    (private,) = {one.private_ip_address, other.private_ip_address, back.private_ip_address}
    (frontend,) = {one.frontend_ip_address, other.frontend_ip_address, back.frontend_ip_address}
    assert private == vm.interfaces[0].ipv4.ip_addresses[0].private_ip_address
    assert ip_address(frontend) in PUBLIC["load_balancer"]


def test_a_gateway_load_balancer_has_tunnels_and_no_rules() -> None:
    shown = made(load_balancer="gateway").load_balancer

    assert [tunnel.type for tunnel in shown.tunnel_interfaces] == ["internal", "external"]
    assert (shown.public_ip_addresses, shown.inbound_rules, shown.outbound_rules) == ([], [], [])


def test_the_tenant_is_the_one_that_is_asked_for_and_a_guid_otherwise() -> None:
    assert made(tenant_id=GUID).tenant_id == GUID
    assert str(UUID(made().tenant_id)) == made().tenant_id != GUID


@pytest.mark.parametrize(
    ("knobs", "kinds"),
    [
        ({}, [True]),
        ({"identity": None}, []),
        ({"user_identities": 2}, [True, False, False]),
        ({"identity": None, "user_identities": 2}, [False, False]),
        ({"classic": True, "user_identities": 2}, []),
    ],
)
def test_a_vm_has_the_identities_that_it_asks_for(knobs: dict[str, Any], kinds: list[bool]) -> None:
    identities = made(**knobs).identities
    ids = {str(UUID(one_id)) for one in identities for one_id in (one.client_id, one.object_id)}

    assert [one.system_assigned for one in identities] == kinds
    assert len(ids) == 2 * len(identities)


def test_user_assigned_identities_are_resources_of_the_group() -> None:
    vm = made(user_identities=12)
    group = vm.resource_id.partition("/providers/")[0]
    places, names = zip(*(one.resource_id.rsplit("/", 1) for one in vm.identities[1:]), strict=True)

    assert set(places) == {f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"}
    assert len(set(names)) == 12


@pytest.mark.parametrize(
    ("knobs", "computer_name"),
    [
        ({"name": "contoso-web-app-server"}, "contoso-web-app"),
        ({"scale_set": "contoso-web-app-server", "instance_id": 1}, "contoso-w000001"),
    ],
)
def test_windows_cuts_a_long_name_to_15_characters(knobs: dict[str, Any], computer_name: str) -> None:
    vm = made(os_type="Windows", **knobs)

    assert vm.os_profile.computer_name == computer_name
    assert vm.name.startswith("contoso-web-app-server")


def test_every_knob_has_an_effect_that_is_tested() -> None:
    # What they show is made up, or shown elsewhere; the tests above look at it.
    elsewhere = {"ipv6", "public_ip", "load_balancer", "tenant_id", "identity", "user_identities"}

    assert {row[0] for row in EFFECTS} | elsewhere == {knob.name for knob in fields(Knobs)}


@every("knob", [knob.name for knob in fields(Knobs)])
def test_every_knob_says_what_it_is(knob: str) -> None:
    (metadata,) = [one.metadata for one in fields(Knobs) if one.name == knob]

    assert metadata["about"]
    assert metadata["accepts"]


@every("image", data.read("images")["images"])
def test_a_vm_has_the_image_it_asks_for(image: str) -> None:
    row = data.read("images")["images"][image]
    security = "ConfidentialVM" if row.get("confidential") else ""
    vm = made(image=image, security_type=security)

    assert (vm.publisher, vm.offer, vm.sku, vm.version, vm.os_type) == (
        row["publisher"],
        row["offer"],
        row["sku"],
        row["version"],
        row["os_type"],
    )


def test_a_knob_of_a_test_wins_over_the_one_of_the_profile() -> None:
    assert len(generate(FAKE, "multi-nic", 0, {"nics": 1}).interfaces) == 1


@every("profile", profiles.names())
def test_a_scale_set_can_be_asked_of_every_profile(profile: str) -> None:
    vm = generate(FAKE, profile, 0, {"scale_set": "shop"})

    assert vm.vm_scale_set_name == "shop"


@every(
    ("profile", "knobs", "words"),
    [
        ("linus", {}, ["unknown VM profile 'linus'", "did you mean 'linux'?", "known: classic, confidential"]),
        ("scale_set", {}, ["did you mean 'scale-set'?"]),
        ("linux", {"vmsize": "x"}, ["unknown VM knob 'vmsize'", "did you mean 'vm_size'?", "known: admin_username"]),
        ("linux", {"image": "ubuntu-24"}, ["knob image 'ubuntu-24'", "did you mean 'ubuntu-24.04'?"]),
        ("linux", {"cloud": "AzureCloud"}, ["knob cloud 'AzureCloud'", "AzurePublicCloud"]),
        ("linux", {"os_type": "linux"}, ["knob os_type 'linux'", "did you mean 'Linux'?"]),
        ("linux", {"priority": "spot"}, ["knob priority 'spot'", "did you mean 'Spot'?"]),
        ("linux", {"orchestration": "flex"}, ["knob orchestration 'flex'", "flexible"]),
        ("linux", {"location": "westeuropa"}, ["AzurePublicCloud 'westeuropa'", "'westeurope'", "assign vm.location"]),
        ("linux", {"location": "usgovvirginia"}, ["unknown region of AzurePublicCloud"]),
        (
            "linux",
            {"vm_size": "standard_D4s_v5"},
            ["unknown VM size 'standard_D4s_v5'", "did you mean 'Standard_D4s_v5'?"],
        ),
        ("linux", {"nics": "2"}, ["the knob nics cannot be '2'", "(int)"]),
        ("linux", {"nics": True}, ["the knob nics cannot be True", "(int)"]),
        ("linux", {"nics": 0}, ["the knob nics cannot be 0", "at least 1"]),
        ("linux", {"nics": 300, "vm_size": "Standard_New99_v9"}, ["300"]),
        ("linux", {"data_disks": -1}, ["the knob data_disks cannot be -1", "0 or more"]),
        ("linux", {"ipv6": 1}, ["the knob ipv6 cannot be 1", "(bool)"]),
        ("linux", {"zone": 1.0}, ["the knob zone cannot be 1.0", "(str or int)"]),
        ("linux", {"zone": True}, ["the knob zone cannot be True"]),
        ("linux", {"tags": [("a", "b")]}, ["the knob tags cannot be [('a', 'b')]", "a mapping of str to str"]),
        ("linux", {"tags": {"a": 1}}, ["the knob tags cannot be {'a': 1}", "a mapping of str to str"]),
        ("linux", {"name": None}, ["the knob name cannot be None"]),
        ("linux", {"tenant_id": 1}, ["the knob tenant_id cannot be 1", "a GUID"]),
        ("linux", {"identity": ""}, ["knob identity ''", "known: system"]),
        ("linux", {"identity": False}, ["the knob identity cannot be False", "(str or None)"]),
        ("linux", {"user_identities": -1}, ["the knob user_identities cannot be -1", "0 or more"]),
        ("linux", {"user_identities": True}, ["the knob user_identities cannot be True", "(int)"]),
        ("linux", {"public_ip": "Standard"}, ["knob public_ip 'Standard'", "did you mean 'standard'?"]),
        ("linux", {"load_balancer": "basic"}, ["knob load_balancer 'basic'", "gateway, standard"]),
    ],
)
def test_what_is_not_known_is_refused_and_what_is_known_is_named(profile: str, knobs: Any, words: list[str]) -> None:
    with pytest.raises(ImdsUsageError) as caught:
        generate(FAKE, profile, 0, knobs)

    assert [word for word in words if word not in str(caught.value)] == []


@every(
    ("knobs", "words"),
    [
        ({"location": "northcentralus", "zone": 1}, ["northcentralus has no availability zone 1", "its zones: none"]),
        ({"location": "westeurope", "zone": "4"}, ["no availability zone '4'", "its zones: 1, 2, 3"]),
        ({"cloud": "AzureGermanCloud", "zone": 1}, ["no region of AzureGermanCloud has zone 1"]),
        ({"location": "westeurope", "edge_zone": True}, ["westeurope has no edge zone", "its edge zones: none"]),
        ({"location": "westus", "edge_zone": "perth"}, ["westus has no edge zone 'perth'", "losangeles"]),
        ({"edge_zone": True, "zone": 1}, ["an edge zone has no availability zones", "leave zone or edge_zone out"]),
        ({"edge_zone": "atlantis"}, ["no region of AzurePublicCloud", "'atlantis'"]),
        ({"image": "debian-12", "os_type": "Windows"}, ["debian-12 is Linux", "asked to be Windows"]),
        ({"vm_size": "Standard_B1s", "nics": 3}, ["Standard_B1s does not allow 3 network interfaces"]),
        ({"vm_size": "Standard_B1s", "data_disks": 3}, ["3 data disks", "sizes that do:", "Standard_D2s_v5"]),
        ({"vm_size": "Standard_B1s", "ephemeral_os_disk": True}, ["an ephemeral OS disk"]),
        ({"vm_size": "Standard_D4s_v5", "security_type": "ConfidentialVM"}, ["Standard_DC2as_v5"]),
        ({"vm_size": "Standard_DC2as_v5"}, ["Standard_DC2as_v5 does not allow"]),
        ({"data_disks": 65}, ["no size allows", "65 data disks", "ask for less"]),
        ({"image": "ubuntu-18.04", "security_type": "TrustedLaunch"}, ["ubuntu-18.04", "TrustedLaunch"]),
        ({"image": "ubuntu-24.04", "security_type": "ConfidentialVM"}, ["ubuntu-24.04", "ConfidentialVM"]),
        ({"image": "debian-12", "hybrid_benefit": True}, ["debian-12"]),
        ({"security_type": "ConfidentialVM", "hybrid_benefit": True}, ["ConfidentialVM"]),
    ],
)
def test_a_vm_that_cannot_be_is_refused_and_the_way_out_is_named(knobs: Any, words: list[str]) -> None:
    with pytest.raises(ImdsUsageError) as caught:
        made(**knobs)

    assert [word for word in words if word not in str(caught.value)] == []
    assert "vm.override()" in str(caught.value)
