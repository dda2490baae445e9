"""``/metadata/reprovisiondata``: what a pre-provisioned VM is to become."""

from __future__ import annotations

from pytest_imds.host import Host
from pytest_imds.service import replies
from pytest_imds.service.message import Reply, Request


def answer(request: Request, host: Host) -> Reply:
    """Answer ``/metadata/reprovisiondata``."""
    return replies.error(host, "category-unknown")
