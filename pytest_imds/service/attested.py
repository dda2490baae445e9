"""``/metadata/attested``: signed proof of which VM it is."""

from __future__ import annotations

from pytest_imds.host import Host
from pytest_imds.service import replies
from pytest_imds.service.message import Reply, Request
from pytest_imds.tree import compact
from pytest_imds.trust.content import is_nonce


def answer(request: Request, host: Host) -> Reply:
    """Answer ``/metadata/attested/document``.

    A JSON object of two strings: ``encoding``, then ``signature``. The request
    has passed the gate.

    Source: ``reply``, ``format`` and ``nonce`` in ``fixtures_data/attested.json``.
    """
    nonce = request.parameters.get("nonce")
    if nonce is not None and not is_nonce(nonce):
        return replies.error(host, "nonce")
    document = host.attestation.answer(nonce, request.parameters["api-version"])
    return replies.json_text(host, compact(dict(document)))
