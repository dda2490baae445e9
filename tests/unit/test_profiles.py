"""Each profile keeps the promise of its ``about``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_imds import data
from pytest_imds.vm import profiles
from pytest_imds.vm.projection import view
from pytest_imds.vm.provider import generate, generator
from tests.every import every

FAKE = generator()
NEWEST = data.read("api_versions")["versions"][-1]["version"]


def image_of_ones_own(compute: Any) -> bool:
    return (compute["publisher"], compute["offer"], compute["sku"]) == ("", "", "")


def is_windows_server(compute: Any) -> bool:
    return bool(compute["osType"] == "Windows" and compute["offer"] == "WindowsServer")


# What is true of the document of every VM of the profile; "classic" has no compute, and is below.
PROMISES: dict[str, Callable[[Any], bool]] = {
    "linux": lambda c: c["osType"] == "Linux" and c["publisher"] != "" and len(c["publicKeys"]) == 1,
    "windows": is_windows_server,
    "scale-set": lambda c: "/virtualMachineScaleSets/" in c["resourceId"] and c["virtualMachineScaleSet"]["id"] == "",
    "scale-set-flex": lambda c: c["virtualMachineScaleSet"]["id"].endswith(f"/{c['vmScaleSetName']}"),
    "spot": lambda c: (c["priority"], c["evictionPolicy"]) == ("Spot", "Deallocate"),
    "marketplace": lambda c: c["plan"] == {"name": c["sku"], "product": c["offer"], "publisher": c["publisher"]},
    "custom-image": lambda c: (
        image_of_ones_own(c)
        and c["version"] == ""
        and "/providers/Microsoft.Compute/images/" in c["storageProfile"]["imageReference"]["id"]
    ),
    "gallery-image": lambda c: (
        image_of_ones_own(c)
        and c["version"] != ""
        and "/galleries/" in c["storageProfile"]["imageReference"]["id"]
        and c["storageProfile"]["imageReference"]["id"].endswith(f"/versions/{c['version']}")
    ),
    "trusted-launch": lambda c: (
        c["securityProfile"]
        == {
            "encryptionAtHost": "false",
            "secureBootEnabled": "true",
            "securityType": "TrustedLaunch",
            "virtualTpmEnabled": "true",
        }
    ),
    "confidential": lambda c: (
        c["securityProfile"]["securityType"] == "ConfidentialVM"
        # The series with an AMD SEV-SNP processor: DCas, DCads, ECas, ECads.
        and c["vmSize"].startswith(("Standard_DC", "Standard_EC"))
    ),
    "ephemeral-os-disk": lambda c: c["storageProfile"]["osDisk"]["diffDiskSettings"]["option"] == "Local",
    "data-disks": lambda c: [disk["lun"] for disk in c["storageProfile"]["dataDisks"]] == ["0", "1", "2"],
    "edge-zone": lambda c: c["extendedLocation"]["type"] == "EdgeZone" and c["extendedLocation"]["name"] != "",
    "hybrid-benefit": lambda c: is_windows_server(c) and c["licenseType"] == "Windows_Server",
    "minimal": lambda c: (
        (c["tags"], c["tagsList"], c["zone"], c["publicKeys"]) == ("", [], "", [])
        and c["osProfile"]["disablePasswordAuthentication"] == "false"
        and c["storageProfile"]["dataDisks"] == []
    ),
}
NETWORK_PROMISES: dict[str, Callable[[Any], bool]] = {
    "multi-nic": lambda interfaces: len(interfaces) == 2,
    "dual-stack": lambda interfaces: all(one["ipv6"]["ipAddress"] and one["ipv4"]["ipAddress"] for one in interfaces),
}


def shown(profile: str, seed: int) -> Any:
    return view(generate(FAKE, profile, seed, {}), NEWEST).document()


def test_every_profile_makes_a_promise() -> None:
    assert sorted([*PROMISES, *NETWORK_PROMISES, "classic"]) == sorted(profiles.names())


@every("seed", range(5))
@every("profile", PROMISES)
def test_a_profile_keeps_its_promise(profile: str, seed: int) -> None:
    compute = shown(profile, seed)["compute"]

    assert PROMISES[profile](compute), (profile, compute)


@every("seed", range(5))
@every("profile", NETWORK_PROMISES)
def test_a_profile_keeps_its_promise_about_the_network(profile: str, seed: int) -> None:
    interfaces = shown(profile, seed)["network"]["interface"]

    assert NETWORK_PROMISES[profile](interfaces), (profile, interfaces)


@pytest.mark.parametrize("seed", range(5))
def test_a_classic_vm_has_its_network_alone(seed: int) -> None:
    assert list(shown("classic", seed)) == ["network"]


@every("profile", sorted(set(profiles.names()) - {"minimal", "classic"}))
def test_the_other_profiles_have_tags_that_a_test_can_look_at(profile: str) -> None:
    assert [tag["name"] for tag in shown(profile, 0)["compute"]["tagsList"]] == ["environment", "owner", "service"]
