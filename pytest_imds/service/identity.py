"""``/metadata/identity``: tokens of managed identities, and the tenant."""

from __future__ import annotations

from datetime import datetime, timezone

from pytest_imds import data
from pytest_imds.guid import guid
from pytest_imds.host import Host
from pytest_imds.service import replies
from pytest_imds.service.message import Reply, Request
from pytest_imds.tree import compact
from pytest_imds.vm.identity import Identity


def token(request: Request, host: Host) -> Reply:
    """Answer ``/metadata/identity/oauth2/token``: a JSON object of eight strings.

    Source: ``fixtures_data/identity.json``.
    """
    resource = request.parameters.get("resource")
    if not resource:
        return replies.error(host, "identity-resource-missing")
    bypass_cache = request.parameters.get("bypass_cache")
    if bypass_cache not in (None, "true"):
        return replies.error(host, "identity-bypass-cache")
    chosen = select(request, host)
    if isinstance(chosen, str):
        return replies.error(host, chosen)
    if not host.identity.knows(resource):
        return _resource_unknown(host, resource)
    answer = host.identity.answer(chosen, resource, bypass_cache=bypass_cache is not None)
    return replies.json_text(host, compact(dict(answer)))


def info(request: Request, host: Host) -> Reply:
    """Answer ``/metadata/identity/info``: ``{"tenantId": "<guid>"}``.

    Source: ``info`` in ``fixtures_data/identity.json``.
    """
    return replies.json_text(host, compact({"tenantId": host.vm.tenant_id}))


def select(request: Request, host: Host) -> Identity | str:
    """Return the identity that a request is about, or the name of the error that it gets.

    Source: ``system-assigned``, ``only-user-assigned`` and ``selectors`` in ``fixtures_data/identity.json``.
    """
    by = data.read("identity")["selectors"]["by"]
    named = [(attribute, request.parameters[name]) for name, attribute in by.items() if name in request.parameters]
    known = host.vm.identities
    if len(named) > 1:
        return "identity-selectors"
    if named:
        ((attribute, wanted),) = named
        known = [one for one in known if wanted and getattr(one, attribute).lower() == wanted.lower()]
    if not known:
        return "identity-not-found"
    system = [one for one in known if one.system_assigned]
    if len(system or known) > 1:
        return "identity-several"
    return (system or known)[0]


def _resource_unknown(host: Host, resource: str) -> Reply:
    now = datetime.fromtimestamp(int(host.clock.time()), timezone.utc)
    return replies.error(
        host,
        "identity-resource-unknown",
        resource=resource,
        tenant=host.vm.tenant_id,
        trace_id=guid(host.random),
        correlation_id=guid(host.random),
        timestamp=f"{now:%Y-%m-%d %H:%M:%S}Z",
        location=host.vm.location.lower(),
    )
