"""What a VM has from other services of Azure: managed identities, a load balancer.

Source: ``managed-identities`` in ``fixtures_data/behaviour.json``, ``generated-rules`` in
``fixtures_data/loadbalancer.json``.
"""

from __future__ import annotations

from random import Random

from pytest_imds import data
from pytest_imds.guid import guid
from pytest_imds.vm.addresses import public_address
from pytest_imds.vm.identity import Identity
from pytest_imds.vm.load_balancer import Frontend, InboundRule, LoadBalancer, TunnelInterface
from pytest_imds.vm.network import Interface
from pytest_imds.vm.profiles import Knobs

# The VMs have lower ones.
GATEWAY_HOST = 250


def identities(
    knobs: Knobs, subscription_id: str, resource_group_name: str, word: str, own: Random, shared: Random
) -> list[Identity]:
    """Return the system-assigned identity if there is one, then the user-assigned ones.

    Args:
        knobs: what is asked.
        subscription_id: that of the VM; the user-assigned identities are in it.
        resource_group_name: that of the VM; the user-assigned identities are in it.
        word: what their names are made of.
        own: chance that makes the system-assigned identity.
        shared: chance that makes the user-assigned ones, which a fleet has together.
    """
    system = [Identity(guid(own), guid(own))] if knobs.identity else []
    place = f"/subscriptions/{subscription_id}/resourceGroups/{resource_group_name}"
    kind = f"{place}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    return system + [
        Identity(guid(shared), guid(shared), f"{kind}/id-{word}-{number + 1}")
        for number in range(knobs.user_identities)
    ]


def load_balancer(knobs: Knobs, interface: Interface, random: Random, place: int) -> LoadBalancer:
    """Return what the load balancer's path shows of a VM with this first interface, in this place of its fleet."""
    private = interface.ipv4.ip_addresses[0].private_ip_address
    made, rules = LoadBalancer(), data.read("loadbalancer")["generated-rules"]
    if knobs.public_ip == "standard":
        made.public_ip_addresses.append(Frontend(public_address("vm", random, place), private))
    if knobs.load_balancer == "standard":
        frontend = public_address("load_balancer", random)
        made.inbound_rules += [InboundRule(frontend, outer, inner, private) for outer, inner in rules["inbound"]]
        made.outbound_rules.append(Frontend(frontend, private))
    if knobs.load_balancer == "gateway":
        gateway = f"{private.rpartition('.')[0]}.{GATEWAY_HOST}"
        made.tunnel_interfaces += [
            TunnelInterface(gateway, port, identifier, kind, private, port)
            for kind, identifier, port in rules["tunnels"]
        ]
    return made
