"""What every request has to pass before an endpoint sees it.

Each check gives the reply that refuses, or None. Their replies are data, with
their sources; so is their order (``order-of-checks`` in
``fixtures_data/behaviour.json``), which ``handle`` follows.
"""

from __future__ import annotations

from pytest_imds.host import Host
from pytest_imds.service import replies
from pytest_imds.service.message import Reply, Request


def head(request: Request, host: Host) -> Reply | None:
    """Refuse HEAD, wherever it goes."""
    return replies.error(host, "head") if request.method == "HEAD" else None


def outside(request: Request, host: Host) -> Reply | None:
    """Refuse what is not below ``/metadata``: the host's web server answers there."""
    inside = request.segments[:1] and request.segments[0].lower() == "metadata"
    return None if inside else replies.error(host, "outside-metadata")


def metadata_header(request: Request, host: Host) -> Reply | None:
    """Refuse a request without ``Metadata: true``."""
    sent = request.headers.get("metadata", "")
    return None if sent.lower() == "true" else replies.error(host, "header-missing")


def forwarded(request: Request, host: Host) -> Reply | None:
    """Refuse a request that came through a proxy."""
    return replies.error(host, "forwarded") if "x-forwarded-for" in request.headers else None


def repeated_parameters(request: Request, host: Host) -> Reply | None:
    """Refuse a query that names a parameter twice."""
    repeated = len(request.pairs) != len(request.parameters)
    return replies.error(host, "parameter-repeated") if repeated else None


def verb(request: Request, host: Host) -> Reply | None:
    """Refuse any verb but GET."""
    return replies.error(host, "method") if request.method != "GET" else None


def body(request: Request, host: Host) -> Reply | None:
    """Refuse a body: nothing under ``/metadata`` reads one from a GET."""
    return replies.error(host, "body-with-get") if request.body else None


def response_format(request: Request, host: Host) -> Reply | None:
    """Refuse a format that is neither json nor text."""
    wanted = request.parameters.get("format", "json")
    return None if wanted.lower() in ("json", "text") else replies.error(host, "format-unknown")
