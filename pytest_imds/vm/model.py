"""A virtual machine, as IMDS knows it.

The classes mirror the documents of IMDS: an attribute is the key in snake
case, lists are in the plural. Which key each attribute is served under, and in
which api-versions, is data: ``fixtures_data/schema.json``. Attributes keep the
types of Python (a size is an ``int``, a switch is a ``bool``); IMDS turns each
into a string, and None into ``""``.

Source: the swagger of IMDS (Azure/azure-rest-api-specs), 2017-03-01 to
2025-11-11, and recorded answers; see ``docs/fidelity.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_imds import data
from pytest_imds.tree import Json
from pytest_imds.vm import overrides as raw
from pytest_imds.vm import projection
from pytest_imds.vm.identity import Identity
from pytest_imds.vm.load_balancer import LoadBalancer
from pytest_imds.vm.network import Interface
from pytest_imds.vm.storage import Reference, StorageProfile


@dataclass
class Plan:
    """The purchase plan of a marketplace image; empty without one."""

    name: str = ""
    product: str = ""
    publisher: str = ""


@dataclass
class PublicKey:
    """An SSH public key, and the file it was put into."""

    key_data: str
    path: str


@dataclass
class OsProfile:
    """The operating system's administrator and name.

    ``disable_password_authentication`` is None on Windows, which has no such switch.
    """

    admin_username: str = ""
    computer_name: str = ""
    disable_password_authentication: bool | None = None


@dataclass
class ExtendedLocation:
    """The edge zone a VM runs in; empty elsewhere."""

    name: str = ""
    type: str = ""


@dataclass
class SecurityProfile:
    """Secure boot, virtual TPM, encryption; ``security_type`` is ``""``, TrustedLaunch or ConfidentialVM."""

    encryption_at_host: bool = False
    secure_boot_enabled: bool = False
    security_type: str = ""
    virtual_tpm_enabled: bool = False


@dataclass
class AdditionalCapabilities:
    """What was switched on for the VM besides."""

    hibernation_enabled: bool = False


@dataclass(kw_only=True)
class Vm:
    """The VM that a test runs on.

    What IMDS has under ``compute`` is here; what it has under
    ``network.interface`` is in ``interfaces``. Any attribute may be assigned
    while a test runs: the next request shows it.

    What other paths than ``/metadata/instance`` show: ``tenant_id``, a GUID, and ``identities``
    (managed identity), ``load_balancer``, and ``reprovision_data``, the text of
    ``/metadata/reprovisiondata``; while that is empty, the path answers 404.
    """

    vm_id: str
    name: str
    location: str
    vm_size: str
    cloud: str = "AzurePublicCloud"
    subscription_id: str = ""
    resource_group_name: str = ""
    resource_id: str = ""
    provider: str = "Microsoft.Compute"
    os_type: str = "Linux"
    publisher: str = ""
    offer: str = ""
    sku: str = ""
    version: str = ""
    plan: Plan = field(default_factory=Plan)
    license_type: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    user_data: str = ""
    custom_data: str = ""
    os_profile: OsProfile = field(default_factory=OsProfile)
    public_keys: list[PublicKey] = field(default_factory=list)
    storage_profile: StorageProfile = field(default_factory=StorageProfile)
    security_profile: SecurityProfile = field(default_factory=SecurityProfile)
    additional_capabilities: AdditionalCapabilities = field(default_factory=AdditionalCapabilities)
    interfaces: list[Interface] = field(default_factory=list)
    zone: str = ""
    physical_zone: str = ""
    extended_location: ExtendedLocation = field(default_factory=ExtendedLocation)
    platform_fault_domain: int = 0
    platform_update_domain: int = 0
    platform_sub_fault_domain: str = ""
    system_fault_domain: str = ""
    placement_group_id: str = ""
    vm_scale_set_name: str = ""
    virtual_machine_scale_set: Reference = field(default_factory=Reference)
    host: Reference = field(default_factory=Reference)
    host_group: Reference = field(default_factory=Reference)
    priority: str = ""
    eviction_policy: str = ""
    is_host_compatibility_layer_vm: bool = False
    is_vm_in_standby_pool: str = ""
    interconnect_group_id: str = ""
    interconnect_subgroup_id: str = ""
    has_custom_data: bool = False
    pps_type: str = "None"
    classic: bool = False
    tenant_id: str = ""
    identities: list[Identity] = field(default_factory=list)
    load_balancer: LoadBalancer = field(default_factory=LoadBalancer)
    reprovision_data: str = ""
    profile: str = "linux"
    seed: int | str = 0
    overrides: dict[str, Json] = field(default_factory=dict)
    _tags_at_boot: dict[str, str] = field(init=False, repr=False, compare=False)
    _disks_at_boot: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Take the state that the VM boots with."""
        self.reboot()

    def reboot(self) -> None:
        """Restart the VM: a scale set's VM shows its changed tags from here on."""
        self._tags_at_boot = dict(self.tags)
        self._disks_at_boot = repr(self.storage_profile)

    def reimage(self) -> None:
        """Put the image on the OS disk anew, which restarts the VM."""
        self.reboot()

    def reprovision(self) -> None:
        """Tell a VM that was made in advance what it is to become.

        From here on, ``/metadata/reprovisiondata`` answers with the OVF environment of this VM: XML,
        which is in ``reprovision_data``.

        Source: ``fixtures_data/reprovision.json``.
        """
        from pytest_imds.vm import ovf  # few tests need XML

        self.reprovision_data = ovf.environment(self)

    @property
    def published_tags(self) -> dict[str, str]:
        """The tags that IMDS shows.

        Those of a scale set's VM are the ones it had at its last reboot,
        reimage or change of its disks.

        Source: ``scale-set-tags`` in ``fixtures_data/behaviour.json``.
        """
        if not self.vm_scale_set_name:
            return self.tags
        if repr(self.storage_profile) != self._disks_at_boot:
            self.reboot()
        return self._tags_at_boot

    def override(self, pointer: str, value: Json) -> None:
        """Serve ``value``, raw JSON, at a place of the document of ``/metadata/instance``.

        Args:
            pointer: where, as a JSON pointer (RFC 6901): ``/compute/licenseType``.
            value: what; it is served as it is, in the api-versions that have the
                place, and in all of them if none has it.

        Raises:
            ImdsUsageError: the pointer leads nowhere.
        """
        newest = data.read("api_versions")["versions"][-1]["version"]
        raw.check(projection.view(self, newest, extended=True).document(), pointer)
        self.overrides[pointer] = value
