"""The disks and the image of a VM, as IMDS knows them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Reference:
    """Another Azure resource, by its resource id."""

    id: str = ""


@dataclass
class Blob:
    """A blob that a disk lies in, by its URI; empty for managed disks."""

    uri: str = ""


@dataclass
class ImageReference:
    """Where the OS disk came from: a marketplace image, or the ``id`` of one's own."""

    id: str = ""
    offer: str = ""
    publisher: str = ""
    sku: str = ""
    version: str = ""
    community_gallery_image_id: str = ""
    exact_version: str = ""
    shared_gallery_image_id: str = ""


@dataclass
class ManagedDisk:
    """The disk resource; ``storage_account_type`` is a SKU such as Premium_LRS."""

    id: str = ""
    storage_account_type: str = ""


@dataclass
class DiffDiskSettings:
    """``option`` is Local on an ephemeral OS disk."""

    option: str = ""


@dataclass
class DiskEncryptionKey:
    """The secret that encrypts a disk, and the key vault it is in."""

    secret_url: str = ""
    source_vault: Reference = field(default_factory=Reference)


@dataclass
class KeyEncryptionKey:
    """The key that wraps the secret, and the key vault it is in."""

    key_url: str = ""
    source_vault: Reference = field(default_factory=Reference)


@dataclass
class EncryptionSettings:
    """Azure Disk Encryption of the OS disk."""

    enabled: bool = False
    disk_encryption_key: DiskEncryptionKey = field(default_factory=DiskEncryptionKey)
    key_encryption_key: KeyEncryptionKey = field(default_factory=KeyEncryptionKey)


@dataclass
class OsDisk:
    """The disk that the VM boots from; ``disk_size_gb`` in GB."""

    name: str = ""
    os_type: str = ""
    disk_size_gb: int = 0
    caching: str = "ReadWrite"
    create_option: str = "FromImage"
    managed_disk: ManagedDisk = field(default_factory=ManagedDisk)
    diff_disk_settings: DiffDiskSettings = field(default_factory=DiffDiskSettings)
    encryption_settings: EncryptionSettings = field(default_factory=EncryptionSettings)
    image: Blob = field(default_factory=Blob)
    vhd: Blob = field(default_factory=Blob)
    write_accelerator_enabled: bool = False


@dataclass
class DataDisk:
    """A further disk; ``disk_size_gb`` in GB.

    The throttles, the capacity in bytes and ``is_shared_disk`` have a value for Ultra Disks alone.
    """

    lun: int
    name: str = ""
    disk_size_gb: int = 0
    caching: str = "None"
    create_option: str = "Empty"
    managed_disk: ManagedDisk = field(default_factory=ManagedDisk)
    is_ultra_disk: bool = False
    is_shared_disk: bool | None = None
    bytes_per_second_throttle: int | None = None
    disk_capacity_bytes: int | None = None
    ops_per_second_throttle: int | None = None
    image: Blob = field(default_factory=Blob)
    vhd: Blob = field(default_factory=Blob)
    write_accelerator_enabled: bool = False


@dataclass
class ResourceDisk:
    """The temporary disk; ``size`` in MiB, 0 without one."""

    size: int = 0


@dataclass
class StorageProfile:
    """The disks and the image."""

    os_disk: OsDisk = field(default_factory=OsDisk)
    data_disks: list[DataDisk] = field(default_factory=list)
    image_reference: ImageReference = field(default_factory=ImageReference)
    resource_disk: ResourceDisk = field(default_factory=ResourceDisk)
