"""The managed identities of a VM."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Identity:
    """A managed identity.

    Attributes:
        client_id: the id of the application, a GUID.
        object_id: the id of the service principal, a GUID; Azure calls it the principal id too.
        resource_id: the id of the resource that a user-assigned identity is; ``""`` for the system-assigned one.
    """

    client_id: str
    object_id: str
    resource_id: str = ""

    @property
    def system_assigned(self) -> bool:
        """Whether it is the VM's own identity, which goes when the VM goes."""
        return not self.resource_id
