"""The order of the checks, and who answers what."""

from __future__ import annotations

from collections.abc import Callable

from pytest_imds import data
from pytest_imds.host import Host
from pytest_imds.service import attested, gate, instance, replies, versions
from pytest_imds.service.message import Reply, Request

Check = Callable[[Request, Host], "Reply | None"]

AT_THE_DOOR: tuple[Check, ...] = (
    gate.head,
    gate.outside,
    gate.metadata_header,
    gate.forwarded,
    gate.repeated_parameters,
    gate.verb,
    gate.body,
)


def handle(request: Request, host: Host) -> Reply:
    """Answer ``request`` as IMDS on ``host`` does.

    Source: ``order-of-checks`` in ``fixtures_data/behaviour.json``.
    """
    delivered = host.attestation.deliveries.at(request.path)
    if delivered is not None and request.method == "GET":
        return replies.delivery(host, delivered)
    for check in AT_THE_DOOR:
        refused = check(request, host)
        if refused is not None:
            return refused
    category = request.segments[1] if len(request.segments) > 1 else ""
    if category == "versions":
        return versions.answer(request, host)
    since = data.read("categories").get(category, {"since": ""})["since"]
    refused = versions.refusal(request, host, since) or gate.response_format(request, host)
    if refused is not None:
        return refused
    if category == "instance":
        return instance.answer(request, host)
    if category == "attested":
        return attested.answer(request, host)
    if not category:
        return root(request, host)
    return replies.error(host, "category-unknown")


def root(request: Request, host: Host) -> Reply:
    """Answer ``/metadata`` itself.

    Source: ``root`` in ``fixtures_data/behaviour.json``.
    """
    wants_text = request.parameters.get("format", "").lower() == "text"
    if wants_text and versions.era(host.newest)["root_listing"]:
        return replies.text(host, "instance/")
    return replies.error(host, "category-unknown")
