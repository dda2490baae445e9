"""The public addresses of a VM, and the rules of the load balancers before it."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_imds.errors import ImdsUsageError

REASONS = ("not-ready", "not-available", "internal")


@dataclass
class Frontend:
    """An address that leads to one of the VM: a public address, or the frontend of an outbound rule."""

    frontend_ip_address: str
    private_ip_address: str


@dataclass
class InboundRule:
    """A rule that leads from a load balancer to the VM; with protocol ``all`` the ports are 0."""

    frontend_ip_address: str
    frontend_port: int
    backend_port: int
    private_ip_address: str
    protocol: str = "Tcp"


@dataclass
class TunnelInterface:
    """A tunnel from a gateway load balancer; ``type`` is ``internal`` or ``external``."""

    gateway_ip_address: str
    gateway_port: int
    identifier: int
    type: str
    local_ip_address: str
    local_port: int
    protocol: str = "vxlan"


@dataclass
class LoadBalancer:
    """What ``/metadata/loadbalancer`` shows; while all of it is empty, the path answers 404.

    ``public_ip_addresses`` are those of the Standard SKU, which ``/metadata/instance`` does not show.
    """

    public_ip_addresses: list[Frontend] = field(default_factory=list)
    inbound_rules: list[InboundRule] = field(default_factory=list)
    outbound_rules: list[Frontend] = field(default_factory=list)
    tunnel_interfaces: list[TunnelInterface] = field(default_factory=list)
    refused: str = field(default="", init=False)

    def refuse(self, reason: str | None) -> None:
        """Let the path answer that it cannot from here on; with None, answer again.

        Args:
            reason: ``not-ready`` and ``not-available`` are 404, ``internal`` is 503.

        Raises:
            ImdsUsageError: the reason is none of those.
        """
        if reason is not None and reason not in REASONS:
            raise ImdsUsageError.unknown("reason", reason, REASONS)
        self.refused = reason or ""
