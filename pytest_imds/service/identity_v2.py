"""IMDSv2: certificates of managed identities."""

from __future__ import annotations

from pytest_imds.host import Host
from pytest_imds.service import replies
from pytest_imds.service.message import Reply, Request


def platform_metadata(request: Request, host: Host) -> Reply:
    """Answer ``/metadata/identity/getplatformmetadata``."""
    return replies.error(host, "category-unknown")


def credential(request: Request, host: Host) -> Reply:
    """Answer ``/metadata/identity/issuecredential``."""
    return replies.error(host, "category-unknown")
