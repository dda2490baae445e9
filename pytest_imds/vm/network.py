"""The network interfaces of a VM, as IMDS knows them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class IpAddress:
    """An address of a network interface; the public one is ``""`` unless it has the Basic SKU."""

    private_ip_address: str
    public_ip_address: str = ""


@dataclass
class IpAddressBlock:
    """A block of addresses that was given to a network interface."""

    address: str
    prefix: str


@dataclass
class Subnet:
    """The subnet of a network interface; 2017-03-01 shows its DNS servers too."""

    address: str
    prefix: str
    dns_servers: list[str] = field(default_factory=list)


@dataclass
class Ipv4:
    """IPv4 of a network interface."""

    ip_addresses: list[IpAddress] = field(default_factory=list)
    subnets: list[Subnet] = field(default_factory=list)
    ip_address_blocks: list[IpAddressBlock] = field(default_factory=list)


@dataclass
class Ipv6:
    """IPv6 of a network interface; IMDS shows no subnet for it."""

    ip_addresses: list[IpAddress] = field(default_factory=list)
    ip_address_blocks: list[IpAddressBlock] = field(default_factory=list)


@dataclass
class Interface:
    """A network interface; ``mac_address`` is 12 capital hex digits."""

    mac_address: str
    ipv4: Ipv4 = field(default_factory=Ipv4)
    ipv6: Ipv6 = field(default_factory=Ipv6)
    interface_compartment_id: str = ""
