"""The number of an instance in its scale set, out of its name. The client is urllib."""

from __future__ import annotations

import json
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from pytest_imds import ImdsServer


def instance_number(imds: str) -> int | None:
    """Return the number of this VM in its uniform scale set, or None if it is in none."""
    request = Request(f"{imds}/metadata/instance/compute?api-version=2021-03-01", headers={"Metadata": "true"})
    with build_opener(ProxyHandler({})).open(request, timeout=5) as reply:
        compute = json.load(reply)
    if not compute["vmScaleSetName"] or compute["virtualMachineScaleSet"]["id"]:
        return None  # only a flexible scale set is named by its id, and it does not number its VMs
    return int(compute["name"].removeprefix(f"{compute['vmScaleSetName']}_"))


@pytest.mark.imds_vm("scale-set", scale_set="web", instance_id=41)
def test_an_instance_has_the_number_in_its_name(imds_server: ImdsServer) -> None:
    # Catches a number that is read out of osProfile.computerName.
    assert instance_number(imds_server.url) == 41


@pytest.mark.imds_vm("scale-set", scale_set="web_2", instance_id=7)
def test_the_name_of_the_scale_set_may_look_like_that_of_an_instance(imds_server: ImdsServer) -> None:
    # Catches a split at the first underscore.
    assert instance_number(imds_server.url) == 7


@pytest.mark.imds_vm("scale-set-flex", scale_set="web", name="web_00000012")
def test_a_vm_of_a_flexible_scale_set_has_no_number(imds_server: ImdsServer) -> None:
    # Catches a client that takes the digits behind the underscore for a number in any scale set.
    assert instance_number(imds_server.url) is None


@pytest.mark.imds_vm(name="build_3")
def test_a_vm_outside_a_scale_set_has_no_number(imds_server: ImdsServer) -> None:
    # Catches a client that looks at the name alone.
    assert instance_number(imds_server.url) is None
