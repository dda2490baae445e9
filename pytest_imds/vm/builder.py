"""Builds a VM whose parts agree with one another, from knobs and a source of chance."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any

from pytest_imds import data
from pytest_imds.errors import ImdsUsageError
from pytest_imds.guid import guid
from pytest_imds.vm import addresses, catalogue, disks, services
from pytest_imds.vm.identity import Identity
from pytest_imds.vm.model import ExtendedLocation, OsProfile, Plan, PublicKey, SecurityProfile, Vm
from pytest_imds.vm.network import Interface
from pytest_imds.vm.profiles import Knobs
from pytest_imds.vm.storage import ImageReference, Reference, ResourceDisk, StorageProfile

if TYPE_CHECKING:
    from faker import Generator

ROLES = ("api", "app", "db", "web")
ENVIRONMENTS = ("dev", "test", "prod")
NOT_A_LETTER = re.compile(r"[^a-z]")
# No two VMs have the same.
OF_ONE_VM = ("name", "vm_id", "computer_name")
BASE_36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def build(knobs: Knobs, fake: Generator, member: int | None = None) -> Vm:
    """Return a VM that is as ``knobs`` ask, and for the rest as ``fake`` has it.

    Args:
        knobs: what is asked.
        fake: the source of chance.
        member: which VM of a fleet it is, from 0 on; None is one that stands alone.

    Raises:
        ImdsUsageError: the knobs ask for what no Azure VM is.
    """
    if member is not None:
        for name in OF_ONE_VM:
            if getattr(knobs, name) is not None:
                raise ImdsUsageError.wrong_value(
                    f"the knob {name}", getattr(knobs, name), "left out: each VM of a fleet has its own"
                )
    return _Builder(knobs, fake, Random(fake.random.getrandbits(64) + (member or 0)), member).vm()


@dataclass
class _Builder:
    """Each part is made once, when another part asks for it.

    What the VMs of a fleet share comes from ``fake``, which gives each of them
    the same; what is a VM's own comes from ``own`` or is counted on from its place.
    """

    knobs: Knobs
    fake: Generator
    own: Random
    member: int | None

    def vm(self) -> Vm:
        knobs, random = self.knobs, self.fake.random
        location, region = catalogue.region(knobs, random)
        alone = self.member is None
        zone = catalogue.zone(knobs, location, region, random) if alone or knobs.zone is not None else ""
        edge_zone = catalogue.edge_zone(knobs, location, region, random)
        size, limits = catalogue.size(knobs, self.image["os_disk_size_gb"], random)
        return Vm(
            vm_id=knobs.vm_id or guid(self.own),
            name=self.name,
            location=location,
            vm_size=size,
            cloud=knobs.cloud,
            subscription_id=self.subscription_id,
            resource_group_name=self.resource_group_name,
            resource_id=self.resource_id,
            provider="Microsoft.ClassicCompute" if knobs.classic else "Microsoft.Compute",
            os_type=self.image["os_type"],
            **self.image_fields,
            plan=self.plan,
            license_type=self.license_type,
            tags=self.tags,
            user_data=self.user_data,
            os_profile=self.os_profile,
            public_keys=self.public_keys,
            storage_profile=StorageProfile(
                os_disk=disks.os_disk(knobs, self.name, self.image, self.azure_id, self.own),
                data_disks=disks.data_disks(knobs, self.name, self.azure_id, random),
                image_reference=self.image_reference,
                resource_disk=ResourceDisk(limits["resource_disk_mib"]),
            ),
            security_profile=self.security_profile,
            interfaces=self.interfaces,
            zone=zone,
            physical_zone=f"{location}-AZ0{zone}" if zone else "",
            extended_location=ExtendedLocation(edge_zone, "EdgeZone") if edge_zone else ExtendedLocation(),
            platform_fault_domain=0 if zone else (random.randrange(3) + self.place) % 3,
            platform_update_domain=0 if zone else (random.randrange(5) + self.place) % 5,
            placement_group_id=guid(self.fake.random) if self.uniform else "",
            vm_scale_set_name=self.scale_set,
            virtual_machine_scale_set=Reference(self.scale_set_id) if self.flexible else Reference(),
            priority=knobs.priority,
            eviction_policy=knobs.eviction_policy or ("Deallocate" if knobs.priority == "Spot" else ""),
            classic=knobs.classic,
            tenant_id=knobs.tenant_id or guid(random),
            identities=[] if knobs.classic else self.identities,
            load_balancer=services.load_balancer(knobs, self.interfaces[0], random, self.place),
        )

    @cached_property
    def place(self) -> int:
        return self.member or 0

    @cached_property
    def interfaces(self) -> list[Interface]:
        return addresses.interfaces(self.knobs, self.fake.random, self.own, self.place)

    @cached_property
    def identities(self) -> list[Identity]:
        # The identities of a uniform scale set are the set's, and all its VMs have them.
        own = self.fake.random if self.uniform else self.own
        return services.identities(
            self.knobs, self.subscription_id, self.resource_group_name, self.word, own, self.fake.random
        )

    @cached_property
    def image(self) -> dict[str, Any]:
        return catalogue.image(self.knobs, self.fake.random)

    @cached_property
    def word(self) -> str:
        return self._ascii_word(str(self.fake.format("last_name")))

    def _ascii_word(self, name: str) -> str:
        # Azure takes few characters in a name, and a user's Faker may speak any language.
        return NOT_A_LETTER.sub("", name.lower())[:8] or "contoso"

    @cached_property
    def environment(self) -> str:
        return str(self.fake.random.choice(ENVIRONMENTS))

    @cached_property
    def subscription_id(self) -> str:
        return self.knobs.subscription_id or guid(self.fake.random)

    @cached_property
    def resource_group_name(self) -> str:
        return self.knobs.resource_group_name or f"rg-{self.word}-{self.environment}"

    @cached_property
    def uniform(self) -> bool:
        return bool(self.knobs.scale_set) and self.knobs.orchestration == "uniform"

    @cached_property
    def flexible(self) -> bool:
        return bool(self.knobs.scale_set) and not self.uniform

    @cached_property
    def scale_set(self) -> str:
        wanted = self.knobs.scale_set
        return wanted if isinstance(wanted, str) else f"{self.word}-vmss" if wanted else ""

    @cached_property
    def instance_id(self) -> int:
        wanted = self.knobs.instance_id
        return (int(self.fake.random.randrange(40)) if wanted is None else wanted) + self.place

    @cached_property
    def name(self) -> str:
        if self.knobs.name:
            return self.knobs.name
        if self.uniform:
            return f"{self.scale_set}_{self.instance_id}"
        if self.flexible:
            return f"{self.scale_set}_{self.own.getrandbits(32):08x}"
        number = self.fake.random.randrange(1, 100) + self.place
        return f"{self.word}-{self.fake.random.choice(ROLES)}-{number:02d}"

    @cached_property
    def computer_name(self) -> str:
        if self.knobs.computer_name:
            return self.knobs.computer_name
        if self.uniform:
            return f"{self.scale_set[:9]}{_base_36(self.instance_id):0>6}"
        if self.flexible:
            return f"{self.scale_set[:9]}{_base_36(self.own.randrange(36**6)):0>6}"
        if self.image["os_type"] != "Windows":
            return self.name
        # NetBIOS names have 15 characters; the number at the end tells VMs of a fleet apart.
        start, hyphen, number = self.name.rpartition("-") if not self.knobs.name else (self.name, "", "")
        return f"{start[: 15 - len(hyphen + number)].rstrip('-')}{hyphen}{number}"

    def azure_id(self, kind: str, name: str) -> str:
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group_name}"
            f"/providers/Microsoft.Compute/{kind}/{name}"
        )

    @cached_property
    def scale_set_id(self) -> str:
        return self.azure_id("virtualMachineScaleSets", self.scale_set)

    @cached_property
    def resource_id(self) -> str:
        if self.uniform:
            return f"{self.scale_set_id}/virtualMachines/{self.instance_id}"
        return self.azure_id("virtualMachines", self.name)

    @cached_property
    def image_fields(self) -> dict[str, Any]:
        if self.knobs.image == "custom":
            return {}
        if self.knobs.image == "gallery":
            return {"version": self.image["version"]}
        return {key: self.image[key] for key in ("publisher", "offer", "sku", "version")}

    @cached_property
    def image_reference(self) -> ImageReference:
        if self.knobs.image == "custom":
            return ImageReference(id=self.azure_id("images", f"{self.word}-image"))
        version = self.image["version"]
        if self.knobs.image == "gallery":
            definition = self.azure_id("galleries", f"{self.word}gallery/images/{self.word}")
            return ImageReference(id=f"{definition}/versions/{version}", exact_version=version)
        return ImageReference(**{**self.image_fields, "version": "latest"}, exact_version=version)

    @cached_property
    def plan(self) -> Plan:
        if not self.image.get("plan"):
            return Plan()
        return Plan(name=self.image["sku"], product=self.image["offer"], publisher=self.image["publisher"])

    @cached_property
    def license_type(self) -> str:
        if self.knobs.license_type is not None:
            return self.knobs.license_type
        return str(self.image.get("license_type", "")) if self.knobs.hybrid_benefit else ""

    @cached_property
    def tags(self) -> dict[str, str]:
        if self.knobs.tags is not None:
            return dict(self.knobs.tags)
        owner = f"{self._ascii_word(str(self.fake.format('first_name')))}@example.com"
        return {"environment": self.environment, "owner": owner, "service": self.word}

    @cached_property
    def user_data(self) -> str:
        content = self.knobs.user_data
        return b64encode(content.encode() if isinstance(content, str) else content).decode()

    @cached_property
    def has_key(self) -> bool:
        return self.image["os_type"] == "Linux" and not self.knobs.password

    @cached_property
    def os_profile(self) -> OsProfile:
        return OsProfile(
            admin_username=self.knobs.admin_username or self._ascii_word(str(self.fake.format("first_name"))),
            computer_name=self.computer_name,
            disable_password_authentication=self.has_key if self.image["os_type"] == "Linux" else None,
        )

    @cached_property
    def public_keys(self) -> list[PublicKey]:
        if not self.has_key:
            return []
        admin = self.os_profile.admin_username
        # The key is kept as it was given at creation: with or without a newline.
        end = self.fake.random.choice((" generated-by-azure", f" {admin}@{self.word}\n"))
        key = self.fake.random.choice(data.read("ssh_keys")["keys"])
        return [PublicKey(key_data=f"{key}{end}", path=f"/home/{admin}/.ssh/authorized_keys")]

    @cached_property
    def security_profile(self) -> SecurityProfile:
        secured = bool(self.knobs.security_type)
        return SecurityProfile(
            encryption_at_host=self.knobs.encryption_at_host,
            secure_boot_enabled=secured,
            security_type=self.knobs.security_type,
            virtual_tpm_enabled=secured,
        )


def _base_36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = BASE_36[digit] + digits
    return digits or "0"
