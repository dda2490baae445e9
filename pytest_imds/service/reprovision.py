"""``/metadata/reprovisiondata``: what a pre-provisioned VM is to become."""

from __future__ import annotations

from pytest_imds import data
from pytest_imds.host import Host
from pytest_imds.service import replies
from pytest_imds.service.message import Reply, Request


def answer(request: Request, host: Host) -> Reply:
    """Answer ``/metadata/reprovisiondata``: an XML document as it is, or 404 while there is none.

    Source: ``reply`` in ``fixtures_data/reprovision.json``.
    """
    if not host.vm.reprovision_data:
        return replies.error(host, "category-unknown")
    return replies.document(host, host.vm.reprovision_data, data.read("reprovision")["reply"]["content_type"])
