"""``/metadata/THIM/amd/certification``: the certificate of the processor of a confidential VM."""

from __future__ import annotations

from pytest_imds.host import Host
from pytest_imds.service import replies
from pytest_imds.service.message import Reply, Request


def answer(request: Request, host: Host) -> Reply:
    """Answer ``/metadata/THIM/amd/certification``."""
    return replies.error(host, "category-unknown")
