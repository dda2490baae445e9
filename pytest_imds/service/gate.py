"""What every request to an endpoint has to pass before the endpoint sees it.

Each check names the error that refuses the request, or gives None. The errors are data, with their sources; so is
their order (``order-of-checks`` in ``fixtures_data/behaviour.json``).
"""

from __future__ import annotations

from collections.abc import Callable

from pytest_imds.host import Host
from pytest_imds.service import versions
from pytest_imds.service.endpoints import Endpoint
from pytest_imds.service.message import Request

Check = Callable[[Request, Host, Endpoint], "str | None"]


def refusal(request: Request, host: Host, endpoint: Endpoint) -> str | None:
    """Return the name of the first error that ``request`` meets, as any endpoint has it, or None."""
    for check in CHECKS:
        error = check(request, host, endpoint)
        if error is not None:
            return error
    return None


def metadata_header(request: Request, host: Host, endpoint: Endpoint) -> str | None:
    """Refuse a request without ``Metadata: true``."""
    return None if has_header(request, endpoint) else "header-missing"


def has_header(request: Request, endpoint: Endpoint) -> bool:
    """Return whether a request has ``Metadata: true``, or what is as good for ``endpoint``."""
    sent = request.headers.get("metadata", "")
    if endpoint.header_parameter and not sent:
        sent = request.parameters.get(endpoint.header_parameter, "")
    return sent.lower() == "true" or request.parameters.get("api-version") in endpoint.header_free_versions


def forwarded(request: Request, host: Host, endpoint: Endpoint) -> str | None:
    """Refuse a request that came through a proxy."""
    return "forwarded" if "x-forwarded-for" in request.headers else None


def repeated_parameters(request: Request, host: Host, endpoint: Endpoint) -> str | None:
    """Refuse a query that names a parameter twice."""
    return "parameter-repeated" if len(request.pairs) != len(request.parameters) else None


def verb(request: Request, host: Host, endpoint: Endpoint) -> str | None:
    """Refuse a verb that the endpoint does not take."""
    return None if request.method in endpoint.methods else "method"


def body(request: Request, host: Host, endpoint: Endpoint) -> str | None:
    """Refuse a body with a GET: nothing under ``/metadata`` reads it."""
    return "body-with-get" if request.body and request.method == "GET" else None


def api_version(request: Request, host: Host, endpoint: Endpoint) -> str | None:
    """Refuse a request without an api-version, or with one that the endpoint does not have."""
    if endpoint.version_parameter is None:
        return None
    version = request.parameters.get(endpoint.version_parameter, "")
    if version in versions.of(endpoint, host.newest):
        return None
    return "version_unsupported" if version else "version_missing"


def response_format(request: Request, host: Host, endpoint: Endpoint) -> str | None:
    """Refuse a format that is neither json nor text."""
    if endpoint.version_parameter is None:
        return None
    wanted = request.parameters.get("format", "json")
    return None if wanted.lower() in ("json", "text") else "format-unknown"


def element(request: Request, host: Host, endpoint: Endpoint) -> str | None:
    """Refuse a path below an endpoint whose elements have none."""
    return "element-missing" if endpoint.route and not endpoint.elements else None


CHECKS: tuple[Check, ...] = (
    metadata_header,
    forwarded,
    repeated_parameters,
    verb,
    body,
    api_version,
    response_format,
    element,
)
