"""Network interfaces for a VM: each address lies in its subnet.

Source: ``fixtures_data/network.json``.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address
from random import Random

from pytest_imds import data
from pytest_imds.vm.network import Interface, IpAddress, Ipv4, Ipv6, Subnet
from pytest_imds.vm.profiles import Knobs


def interfaces(knobs: Knobs, shared: Random, own: Random, place: int) -> list[Interface]:
    """Return as many interfaces as asked for, each in a subnet of its own.

    Args:
        knobs: what is asked.
        shared: chance that gives the VMs of a fleet the same subnets.
        own: chance that is the VM's own.
        place: which VM of the fleet it is.
    """
    known = data.read("network")
    second, third = shared.randrange(256), shared.randrange(256 - knobs.nics)
    made = []
    for number in range(knobs.nics):
        subnet = IPv4Network(f"10.{second}.{third + number}.0/24")
        first = known["first_host"]
        host = first + (shared.randrange(250 - first) + place) % (250 - first)
        public = public_address("vm", shared, place) if knobs.public_ip == "basic" and number == 0 else ""
        ipv6 = [IpAddress(_ipv6_address(host, shared))] if knobs.ipv6 else []
        made.append(
            Interface(
                mac_address=f"{shared.choice(known['mac_prefixes'])}{own.getrandbits(24):06X}",
                ipv4=Ipv4(
                    [IpAddress(str(subnet[host]), public)],
                    [Subnet(str(subnet.network_address), str(subnet.prefixlen), [known["dns_server"]])],
                ),
                ipv6=Ipv6(ipv6),
            )
        )
    return made


def public_address(of: str, random: Random, place: int = 0) -> str:
    """Return a public address of a VM (``vm``) or of a load balancer (``load_balancer``); it belongs to nobody."""
    block = IPv4Network(data.read("network")["public_ranges"][of])
    return str(block[1 + (random.randrange(254) + place) % 254])


def _ipv6_address(host: int, random: Random) -> str:
    # A unique local address (RFC 4193): fd, 56 random bits of prefix and subnet, the host.
    return str(IPv6Address((0xFD << 120) | (random.getrandbits(56) << 64) | host))
