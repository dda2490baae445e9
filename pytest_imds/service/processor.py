"""``/metadata/THIM/amd/certification``: the certificate of the processor of a confidential VM."""

from __future__ import annotations

from pytest_imds import data
from pytest_imds.host import Host
from pytest_imds.service import replies
from pytest_imds.service.message import Reply, Request
from pytest_imds.tree import Json, compact

CONFIDENTIAL = "ConfidentialVM"


def answer(request: Request, host: Host) -> Reply:
    """Answer ``/metadata/THIM/amd/certification``: a JSON object of four strings, or 404 if the VM is not confidential.

    Source: ``reply`` in ``fixtures_data/confidential.json``.
    """
    if host.vm.security_profile.security_type != CONFIDENTIAL:
        return replies.error(host, "category-unknown")
    from pytest_imds.trust import processor  # cryptography takes long to import

    authority = host.authority()
    members: dict[str, Json] = {
        "vcekCert": processor.vcek(host.vm.vm_id, authority),
        "tcbm": processor.tcb_version(),
        "certificateChain": processor.issuers(authority),
        "cacheControl": data.read("confidential")["cache-control"]["value"],
    }
    return replies.json_text(host, compact(members))
