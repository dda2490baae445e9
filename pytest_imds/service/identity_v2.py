"""IMDSv2: certificates of managed identities, in two steps; tokens for them come from Entra, not from IMDS."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

from pytest_imds import data
from pytest_imds.host import Host
from pytest_imds.service import identity, replies
from pytest_imds.service.message import Reply, Request
from pytest_imds.tree import Json, compact
from pytest_imds.vm.identity import Identity

# The first step and the second take the same; msi_res_id, which tokens take, is not among them.
PARAMETERS = {"cred-api-version", "client_id", "object_id", "mi_res_id", "bypass_cache", "cid"}


def platform_metadata(request: Request, host: Host) -> Reply:
    """Answer ``/metadata/identity/getplatformmetadata``: a JSON object of an object, ``cuId``, and three strings.

    Source: ``v2-platform`` in ``fixtures_data/identity.json``.
    """
    chosen = _chosen(request, host)
    if isinstance(chosen, str):
        return replies.error(host, chosen)
    members: dict[str, Json] = {
        "cuId": {**_compute_unit(host)},
        "clientId": chosen.client_id,
        "tenantId": host.vm.tenant_id,
        "attestationEndpoint": data.read("identity")["v2-platform"]["attestation_endpoint"],
    }
    return replies.json_text(host, compact(members))


def credential(request: Request, host: Host) -> Reply:
    """Answer ``/metadata/identity/issuecredential``: a JSON object of five strings.

    The certificate is issued by the root of trust of the attested documents, whose certificate a test holds. The
    authorities below it will not do: those of one chain are for servers alone.

    Source: ``v2-credential`` and ``v2-csr`` in ``fixtures_data/identity.json``.
    """
    from pytest_imds.trust.credential import Holder, issued, requested  # cryptography takes long to import

    chosen = _chosen(request, host)
    if isinstance(chosen, str):
        return replies.error(host, chosen)
    encoded = _signing_request(request.body)
    holder = Holder(chosen.client_id, host.vm.tenant_id, _compute_unit(host))
    asked = None if encoded is None else requested(encoded, holder)
    if asked is None:
        return replies.error(host, "identity-v2-csr")
    certificate = issued(asked, host.attestation.root_pem, host.authority(), int(host.clock.time()))
    members: dict[str, Json] = {
        "client_id": chosen.client_id,
        "tenant_id": host.vm.tenant_id,
        "certificate": b64encode(certificate).decode(),
        "identity_type": "SAMI" if chosen.system_assigned else "UAMI",
        "mtls_authentication_endpoint": data.read("identity")["v2-credential"]["mtls_authentication_endpoint"],
    }
    return replies.json_text(host, compact(members))


def _chosen(request: Request, host: Host) -> Identity | str:
    """Return the identity that a request is about, or the name of the error that it gets."""
    if request.parameters.keys() - PARAMETERS:
        return "identity-v2-unsupported"
    return identity.select(request, host)


def _compute_unit(host: Host) -> dict[str, str]:
    """Return what IMDSv2 calls the VM: its id, and its placement group's if it has one, as in a uniform scale set."""
    group = host.vm.placement_group_id
    return {"vmId": host.vm.vm_id, **({"vmssId": group} if group else {})}


def _signing_request(body: bytes) -> bytes | None:
    """Return the certificate signing request of a body, in DER, or None if the body is malformed."""
    try:
        sent = json.loads(body)
        if not isinstance(sent, dict) or not isinstance(sent.get("attestation_token"), (str, type(None))):
            return None
        csr = sent.get("csr")
        return b64decode(csr, validate=True) if isinstance(csr, str) else None
    except (ValueError, RecursionError):
        return None
