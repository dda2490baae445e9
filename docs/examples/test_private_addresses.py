"""The private addresses that a service binds to. The client is httpx, asynchronous."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import httpx
import pytest

from pytest_imds import ImdsServer, Vm


async def private_addresses(imds: str) -> set[str]:
    async with httpx.AsyncClient(base_url=imds, headers={"Metadata": "true"}, trust_env=False, timeout=5) as client:
        reply = await client.get("/metadata/instance/network", params={"api-version": "2021-02-01"})
    reply.raise_for_status()
    return {
        address["privateIpAddress"]
        for interface in reply.json()["interface"]
        for family in ("ipv4", "ipv6")
        for address in interface[family]["ipAddress"]
    }


@pytest.mark.imds_vm("multi-nic", nics=3)
def test_every_interface_counts(imds_server: ImdsServer, imds_vm: Vm) -> None:
    # Catches a client that reads interface[0] alone.
    expected = {interface.ipv4.ip_addresses[0].private_ip_address for interface in imds_vm.interfaces}
    assert len(expected) == 3
    assert asyncio.run(private_addresses(imds_server.url)) == expected


@pytest.mark.imds_vm("dual-stack")
def test_both_families_count(imds_server: ImdsServer) -> None:
    # Catches a client that reads ipv4 alone, or takes the subnet's address for the VM's.
    addresses = asyncio.run(private_addresses(imds_server.url))
    assert sorted(ip_address(address).version for address in addresses) == [4, 6]


@pytest.mark.imds_vm(public_ip="basic")
def test_a_public_address_is_left_out(imds_server: ImdsServer, imds_vm: Vm) -> None:
    # Catches a client that takes every value of an address.
    addresses = asyncio.run(private_addresses(imds_server.url))
    assert addresses == {imds_vm.interfaces[0].ipv4.ip_addresses[0].private_ip_address}


@pytest.mark.imds_vm("classic")
def test_a_classic_vm_has_addresses_too(imds_server: ImdsServer, imds_vm: Vm) -> None:
    # Catches a client that reads compute on the way: a classic VM has none.
    assert len(asyncio.run(private_addresses(imds_server.url))) == len(imds_vm.interfaces)
