"""A report on the VM: its size, its region, its tags. The client is requests."""

from __future__ import annotations

import pytest
import requests

from pytest_imds import ImdsServer, Vm


def report(imds: str) -> str:
    with requests.Session() as session:
        session.trust_env = False  # a proxy of the environment must not see these requests
        reply = session.get(
            f"{imds}/metadata/instance/compute",
            params={"api-version": "2025-04-07"},
            headers={"Metadata": "true"},
            timeout=5,
        )
    reply.raise_for_status()
    compute = reply.json()
    tags = [f"{tag['name']} = {tag['value']}" for tag in compute["tagsList"]]
    return "\n".join([f"{compute['vmSize']} in {compute['location']}", *tags])


def test_the_report_names_the_size_and_the_region(imds_server: ImdsServer, imds_vm: Vm) -> None:
    # Catches a report that reads osDisk.diskSizeGB, sku or physicalZone instead.
    assert report(imds_server.url).splitlines()[0] == f"{imds_vm.vm_size} in {imds_vm.location}"


@pytest.mark.imds_vm(tags={"schedule": "mon-fri;08:00-18:00", "owner": "ada@example.com"})
def test_a_tag_may_contain_the_separators(imds_server: ImdsServer) -> None:
    # Catches a report that splits the string "tags" at ";" and ":" where "tagsList" is exact.
    assert report(imds_server.url).splitlines()[1:] == [
        "schedule = mon-fri;08:00-18:00",
        "owner = ada@example.com",
    ]


@pytest.mark.imds_vm("minimal")
def test_a_vm_without_tags_has_a_report_of_one_line(imds_server: ImdsServer) -> None:
    # Catches a loop over "".split(";"), which finds one tag without a name.
    assert len(report(imds_server.url).splitlines()) == 1
