"""What a VM can be asked to be: the profiles, and the knobs that change them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import NoneType
from typing import Any

from pytest_imds import data
from pytest_imds.errors import ImdsUsageError

TEXT: tuple[type, ...] = (str,)
FLAG: tuple[type, ...] = (bool,)
COUNT: tuple[type, ...] = (int,)


def _knob(about: str, accepts: tuple[type, ...], *choices: str, default: Any = None) -> Any:
    return field(default=default, metadata={"about": about, "accepts": accepts, "choices": choices})


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """What is asked of a generated VM; whatever is left None is generated.

    Each field's metadata says what it is, which types it takes and, where that
    is a closed list, which values.
    """

    cloud: str = _knob("the cloud", TEXT, *data.read("clouds")["clouds"], default="AzurePublicCloud")
    location: str | None = _knob("the region, served in the case given here", TEXT)
    zone: str | int | None = _knob('the availability zone: "1", 1; "" for none', (str, int))
    edge_zone: str | bool = _knob("an edge zone: its name, or True for any", (str, bool), default=False)
    name: str | None = _knob("the name of the VM", TEXT)
    resource_group_name: str | None = _knob("the resource group", TEXT)
    subscription_id: str | None = _knob("the subscription, a GUID", TEXT)
    vm_id: str | None = _knob("the id of the VM, a GUID", TEXT)
    vm_size: str | None = _knob("the size, such as Standard_D4s_v5", TEXT)
    os_type: str | None = _knob("the operating system", TEXT, "Linux", "Windows")
    image: str | None = _knob("the image", TEXT, *data.read("images")["images"], "custom", "gallery")
    tags: Mapping[str, str] | None = _knob("the tags, a mapping of str to str", (Mapping,))
    user_data: str | bytes = _knob("the user data; IMDS shows it in Base64", (str, bytes), default="")
    admin_username: str | None = _knob("the administrator of the operating system", TEXT)
    computer_name: str | None = _knob("the host name", TEXT)
    password: bool = _knob("signed in with a password: no SSH key", FLAG, default=False)
    license_type: str | None = _knob("the licence that is brought along", TEXT)
    hybrid_benefit: bool = _knob("Azure Hybrid Benefit: the licence that fits the image", FLAG, default=False)
    priority: str = _knob("the priority", TEXT, "", "Regular", "Low", "Spot", default="")
    eviction_policy: str | None = _knob("what happens to an evicted Spot VM", TEXT, "Deallocate", "Delete")
    scale_set: str | bool = _knob("a VM of a scale set: its name, or True for any", (str, bool), default=False)
    orchestration: str = _knob("how the scale set is run", TEXT, "uniform", "flexible", default="uniform")
    instance_id: int | None = _knob("which instance of a uniform scale set", COUNT)
    security_type: str = _knob("the security type", TEXT, "", "TrustedLaunch", "ConfidentialVM", default="")
    encryption_at_host: bool = _knob("encryption at the host", FLAG, default=False)
    ephemeral_os_disk: bool = _knob("the OS disk lies on the host", FLAG, default=False)
    data_disks: int = _knob("how many data disks", COUNT, default=0)
    nics: int = _knob("how many network interfaces", COUNT, default=1)
    ipv6: bool = _knob("an IPv6 address too", FLAG, default=False)
    public_ip: str = _knob(
        "a public address: /metadata/instance shows the Basic SKU, /metadata/loadbalancer the Standard SKU",
        TEXT,
        *("", "basic", "standard"),
        default="",
    )
    load_balancer: str = _knob(
        "a load balancer before the VM: with inbound and outbound rules, or a gateway",
        TEXT,
        *("", "standard", "gateway"),
        default="",
    )
    classic: bool = _knob("created with the classic deployment model", FLAG, default=False)
    tenant_id: str | None = _knob("the tenant, a GUID", TEXT)
    identity: str | None = _knob(
        "the system-assigned managed identity; None for a VM without", (str, NoneType), "system", default="system"
    )
    user_identities: int = _knob("how many user-assigned managed identities", COUNT, default=0)


def names() -> tuple[str, ...]:
    """Return the names of the profiles, in the order of the data."""
    return tuple(data.read("profiles")["profiles"])


def resolve(profile: str, knobs: Mapping[str, object]) -> Knobs:
    """Put ``knobs`` on top of those of ``profile``.

    Raises:
        ImdsUsageError: no such profile or knob, or a value of the wrong kind;
            the message lists what there is and names the nearest.
    """
    profiles = data.read("profiles")["profiles"]
    if profile not in list(profiles):
        raise ImdsUsageError.unknown("VM profile", profile, profiles)
    known = {knob.name: knob.metadata for knob in fields(Knobs)}
    for name, value in knobs.items():
        if name not in known:
            raise ImdsUsageError.unknown("VM knob", name, known)
        _check(name, value, known[name])
    return Knobs(**{**profiles[profile]["knobs"], **knobs})


def _check(name: str, value: object, knob: Mapping[str, Any]) -> None:
    accepts, choices = knob["accepts"], knob["choices"]
    if not isinstance(value, accepts) or (isinstance(value, bool) and bool not in accepts):
        kinds = " or ".join("None" if kind is NoneType else kind.__name__ for kind in accepts)
        raise ImdsUsageError.wrong_value(f"the knob {name}", value, f"{knob['about']} ({kinds})")
    if choices and value not in choices and value is not None:
        raise ImdsUsageError.unknown(f"value of the knob {name}", value, choices)
    if accepts is COUNT and isinstance(value, int) and value < 0:
        raise ImdsUsageError.wrong_value(f"the knob {name}", value, f"{knob['about']}: 0 or more")
    if name == "nics" and value == 0:
        raise ImdsUsageError.wrong_value("the knob nics", value, "at least 1: every VM has a network interface")
    if isinstance(value, Mapping) and not all(isinstance(part, str) for pair in value.items() for part in pair):
        raise ImdsUsageError.wrong_value(f"the knob {name}", value, knob["about"])
