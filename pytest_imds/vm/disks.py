"""The disks of a VM."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from pytest_imds.vm.profiles import Knobs
from pytest_imds.vm.storage import DataDisk, DiffDiskSettings, ManagedDisk, OsDisk

AzureId = Callable[[str, str], str]


def os_disk(knobs: Knobs, vm: str, image: Mapping[str, Any], azure_id: AzureId, own: Random) -> OsDisk:
    """Return the OS disk of the VM of that name, from its image's row."""
    local = knobs.ephemeral_os_disk
    name = f"{vm}_OsDisk_1_{own.getrandbits(128):032x}"
    return OsDisk(
        name=name,
        os_type=image["os_type"],
        disk_size_gb=image["os_disk_size_gb"],
        caching="ReadOnly" if local else "ReadWrite",
        managed_disk=_managed_disk(azure_id, name, "Standard_LRS" if local else "Premium_LRS"),
        diff_disk_settings=DiffDiskSettings("Local" if local else ""),
    )


def data_disks(knobs: Knobs, vm: str, azure_id: AzureId, random: Random) -> list[DataDisk]:
    """Return as many data disks as asked for."""
    made = []
    for lun in range(knobs.data_disks):
        name = f"{vm}_DataDisk_{lun}"
        size_gb = random.choice((32, 64, 128, 256, 512, 1024))
        managed = _managed_disk(azure_id, name, random.choice(("Premium_LRS", "StandardSSD_LRS")))
        made.append(DataDisk(lun=lun, name=name, disk_size_gb=size_gb, managed_disk=managed))
    return made


def _managed_disk(azure_id: AzureId, name: str, account_type: str) -> ManagedDisk:
    return ManagedDisk(id=azure_id("disks", name), storage_account_type=account_type)
