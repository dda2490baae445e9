"""What Azure offers: regions, sizes and images that fit what was asked for.

The offers are data: ``clouds``, ``sizes`` and ``images`` in ``fixtures_data``.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any

from pytest_imds import data
from pytest_imds.errors import ImdsUsageError
from pytest_imds.vm.profiles import Knobs

# A size that the data does not have yet is served as asked, if it looks like one.
SIZE = re.compile(r"(Standard|Basic)_[A-Z][A-Za-z0-9_-]*")


def region(knobs: Knobs, random: Random) -> tuple[str, dict[str, Any]]:
    """Return the name of a region, as it will be served, and its row."""
    if knobs.edge_zone and knobs.zone:
        raise ImdsUsageError.impossible_vm("an edge zone has no availability zones.", "leave zone or edge_zone out")
    regions = data.read("clouds")["clouds"][knobs.cloud]["regions"]
    if knobs.location is not None:
        row = regions.get(knobs.location.lower())
        if row is None:
            raise ImdsUsageError.unknown(
                f"region of {knobs.cloud}",
                knobs.location,
                regions,
                "to serve another one: assign vm.location during the test",
            )
        return knobs.location, row
    fitting = {name: row for name, row in regions.items() if _fits_region(knobs, row)}
    if not fitting:
        raise ImdsUsageError.impossible_vm(
            f"no region of {knobs.cloud} has zone {knobs.zone!r} and edge zone {knobs.edge_zone!r}.",
            "leave the knobs zone and edge_zone out, or choose another cloud",
        )
    name = random.choice(list(fitting))
    return name, fitting[name]


def _fits_region(knobs: Knobs, row: dict[str, Any]) -> bool:
    if knobs.edge_zone:
        edge_zones = row.get("edge_zones", [])
        return bool(edge_zones) and knobs.edge_zone in (True, *edge_zones)
    return not knobs.zone or bool(row["zones"])


def zone(knobs: Knobs, location: str, row: dict[str, Any], random: Random) -> str:
    """Return the availability zone: the one asked for, or any that the region has, or ``""``."""
    zones = [str(number + 1) for number in range(row["zones"])]
    if knobs.zone is None:
        return "" if knobs.edge_zone or knobs.classic else random.choice(["", *zones])
    if str(knobs.zone) not in ("", *zones):
        raise ImdsUsageError.impossible_vm(
            f"the region {location} has no availability zone {knobs.zone!r}.",
            f"its zones: {', '.join(zones) or 'none'}",
        )
    return str(knobs.zone)


def edge_zone(knobs: Knobs, location: str, row: dict[str, Any], random: Random) -> str:
    """Return the edge zone: the one asked for, or any of the region's if any will do, or ``""``."""
    if not knobs.edge_zone:
        return ""
    zones = row.get("edge_zones", [])
    if not _fits_region(knobs, row):
        raise ImdsUsageError.impossible_vm(
            f"the region {location} has no edge zone {knobs.edge_zone!r}.",
            f"its edge zones: {', '.join(zones) or 'none'}",
        )
    return knobs.edge_zone if isinstance(knobs.edge_zone, str) else str(random.choice(zones))


def image(knobs: Knobs, random: Random) -> dict[str, Any]:
    """Return the row of the image; one's own image (custom, gallery) is built like a marketplace one."""
    images: dict[str, dict[str, Any]] = data.read("images")["images"]
    if knobs.image in images:
        row = images[knobs.image]
        if knobs.os_type not in (None, row["os_type"]):
            raise ImdsUsageError.impossible_vm(
                f"the image {knobs.image} is {row['os_type']}, the VM is asked to be {knobs.os_type}.",
                "leave one of the two out",
            )
        if not _fits_image(knobs, row):
            raise ImdsUsageError.impossible_vm(
                f"the image {knobs.image} does not allow {_image_needs(knobs)}.",
                f"images that do: {', '.join(name for name in images if _fits_image(knobs, images[name])) or 'none'}",
            )
        return row
    os_type = knobs.os_type or "Linux"
    fitting = [row for row in images.values() if row["os_type"] == os_type and _fits_image(knobs, row)]
    if not fitting:
        raise ImdsUsageError.impossible_vm(f"no {os_type} image allows {_image_needs(knobs)}.", "ask for less")
    return random.choice([row for row in fitting if row.get("common")] or fitting)


def _fits_image(knobs: Knobs, row: dict[str, Any]) -> bool:
    feature = {"TrustedLaunch": "trusted_launch", "ConfidentialVM": "confidential"}.get(knobs.security_type)
    return bool((feature is None or row.get(feature)) and (row.get("license_type") or not knobs.hybrid_benefit))


def _image_needs(knobs: Knobs) -> str:
    return f"security type {knobs.security_type!r}, Azure Hybrid Benefit {knobs.hybrid_benefit}"


def size(knobs: Knobs, os_disk_size_gb: int, random: Random) -> tuple[str, dict[str, Any]]:
    """Return the name of a size that allows what was asked for, and its row."""
    sizes = data.read("sizes")["sizes"]
    if knobs.vm_size is not None:
        if SIZE.fullmatch(knobs.vm_size) is None:
            raise ImdsUsageError.unknown("VM size", knobs.vm_size, sizes, "any name like Standard_D4s_v5 is taken")
        row = sizes.get(knobs.vm_size)
        if knobs.nics > max(known["max_nics"] for known in sizes.values()):
            raise ImdsUsageError.impossible_vm(f"no size allows {knobs.nics} network interfaces.", "ask for less")
        if row is not None and not _fits_size(knobs, row, os_disk_size_gb):
            fitting = ", ".join(name for name in sizes if _fits_size(knobs, sizes[name], os_disk_size_gb))
            raise ImdsUsageError.impossible_vm(
                f"the size {knobs.vm_size} does not allow {_needs(knobs)}.", f"sizes that do: {fitting or 'none'}"
            )
        return knobs.vm_size, row or {"resource_disk_mib": 0}
    fitting_sizes = {name: row for name, row in sizes.items() if _fits_size(knobs, row, os_disk_size_gb)}
    if not fitting_sizes:
        raise ImdsUsageError.impossible_vm(f"no size allows {_needs(knobs)}.", "ask for less")
    common = [name for name, row in fitting_sizes.items() if row["common"]]
    name = random.choice(common or list(fitting_sizes))
    return name, fitting_sizes[name]


def _fits_size(knobs: Knobs, row: dict[str, Any], os_disk_size_gb: int) -> bool:
    return bool(
        row["max_data_disks"] >= knobs.data_disks
        and row["max_nics"] >= knobs.nics
        and (not knobs.ephemeral_os_disk or row["ephemeral_os_disk_gb"] >= os_disk_size_gb)
        and (knobs.security_type != "TrustedLaunch" or row["trusted_launch"])
        and row["confidential"] == (knobs.security_type == "ConfidentialVM")
    )


def _needs(knobs: Knobs) -> str:
    needs = [f"{knobs.nics} network interfaces", f"{knobs.data_disks} data disks"]
    if knobs.ephemeral_os_disk:
        needs.append("an ephemeral OS disk of the image's size")
    needs.append(f"security type {knobs.security_type!r}")
    return ", ".join(needs)
