"""What requests are about."""

from __future__ import annotations

from pytest_imds.service import endpoints, gate
from pytest_imds.service.endpoints import Endpoint
from pytest_imds.traffic.exchange import Exchange

UNKNOWN = Endpoint("")


def is_for_imds(request: Exchange) -> bool:
    """Return whether a request is for the service: what is not below ``/metadata`` is for others."""
    return request.asked.place.split("/")[1] == "metadata"


def endpoint(request: Exchange) -> Endpoint | None:
    """Return the endpoint that a request is for, or None if there is none."""
    return endpoints.find(request.asked.segments[1:])


def is_for_identity(request: Exchange) -> bool:
    """Return whether a request is for managed identity."""
    return request.asked.segments[1:2] == ("identity",)


def has_header(request: Exchange) -> bool:
    """Return whether a request has the header Metadata, or what is as good for its endpoint."""
    return gate.has_header(request.asked, endpoint(request) or UNKNOWN)
