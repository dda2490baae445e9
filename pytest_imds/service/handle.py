"""The order of the checks, and who answers what."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_imds.host import Host
from pytest_imds.service import (
    attested,
    endpoints,
    gate,
    identity,
    identity_v2,
    instance,
    load_balancer,
    processor,
    replies,
    reprovision,
    root,
    scheduled_events,
    versions,
)
from pytest_imds.service.message import Reply, Request

ANSWERS: Mapping[str, Callable[[Request, Host], Reply]] = {
    "": root.answer,
    "versions": root.listed,
    "instance": instance.answer,
    "attested/document": attested.answer,
    "identity/oauth2/token": identity.token,
    "identity/info": identity.info,
    "identity/getplatformmetadata": identity_v2.platform_metadata,
    "identity/issuecredential": identity_v2.credential,
    "scheduledevents": scheduled_events.answer,
    "loadbalancer": load_balancer.answer,
    "THIM/amd/certification": processor.answer,
    "reprovisiondata": reprovision.answer,
}


def handle(request: Request, host: Host) -> Reply:
    """Answer ``request`` as IMDS on ``host`` does.

    Source: ``order-of-checks`` in ``fixtures_data/behaviour.json``.
    """
    if request.method == "GET" and (published := host.published(request.path)) is not None:
        return replies.delivery(host, published)
    if request.method == "HEAD":
        return replies.error(host, "head")
    top, *below = request.segments or ("",)
    if top.lower() != "metadata":
        return replies.error(host, "outside-metadata")
    endpoint = endpoints.find(tuple(below))
    if endpoint is None or not host.has(endpoint.asked_for) or not versions.exists(endpoint, host.newest):
        return replies.error(host, "category-unknown")
    error = gate.refusal(request, host, endpoint)
    if error is not None:
        return replies.refusal(request, host, endpoint, error)
    if host.limits is not None and not host.limits.admits(endpoint.path, request.at_once, host.clock.time()):
        return replies.refusal(request, host, endpoint, "throttled")
    return ANSWERS[endpoint.path](request, host)
