"""Network interfaces for a VM: each address lies in its subnet.

Source: ``fixtures_data/network.json``.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address
from random import Random

from pytest_imds import data
from pytest_imds.vm.network import Interface, IpAddress, Ipv4, Ipv6, Subnet
from pytest_imds.vm.profiles import Knobs


def interfaces(knobs: Knobs, random: Random) -> list[Interface]:
    """Return as many interfaces as asked for, each in a subnet of its own."""
    known = data.read("network")
    second, third = random.randrange(256), random.randrange(256 - knobs.nics)
    made = []
    for number in range(knobs.nics):
        subnet = IPv4Network(f"10.{second}.{third + number}.0/24")
        host = random.randrange(known["first_host"], 250)
        public = _public_address(random) if knobs.public_ip and number == 0 else ""
        ipv6 = [IpAddress(_ipv6_address(host, random))] if knobs.ipv6 else []
        made.append(
            Interface(
                mac_address=f"{random.choice(known['mac_prefixes'])}{random.getrandbits(24):06X}",
                ipv4=Ipv4(
                    [IpAddress(str(subnet[host]), public)],
                    [Subnet(str(subnet.network_address), str(subnet.prefixlen), [known["dns_server"]])],
                ),
                ipv6=Ipv6(ipv6),
            )
        )
    return made


def _public_address(random: Random) -> str:
    block = IPv4Network(random.choice(data.read("network")["public_ranges"]))
    return str(block[random.randrange(1, 255)])


def _ipv6_address(host: int, random: Random) -> str:
    # A unique local address (RFC 4193): fd, 56 random bits of prefix and subnet, the host.
    return str(IPv6Address((0xFD << 120) | (random.getrandbits(56) << 64) | host))
