"""``/metadata/loadbalancer``: public addresses, and the rules of load balancers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_imds import data
from pytest_imds.host import Host
from pytest_imds.service import replies
from pytest_imds.service.message import Reply, Request
from pytest_imds.tree import Json, compact
from pytest_imds.vm.load_balancer import LoadBalancer


def answer(request: Request, host: Host) -> Reply:
    """Answer ``/metadata/loadbalancer``: ``{"loadbalancer": {...}}``, or 404 if there is nothing to show.

    Source: ``fixtures_data/loadbalancer.json``.
    """
    for error, limit, longest in _lengths(request):
        if longest > limit:
            return replies.error(host, error, limit=str(limit))
    shown = host.vm.load_balancer
    if shown.refused:
        return replies.error(host, f"loadbalancer-{shown.refused}")
    document = _document(shown)
    if not any(document.values()):
        return replies.error(host, "loadbalancer-none")
    return replies.json_text(host, compact({"loadbalancer": document}))


def _lengths(request: Request) -> list[tuple[str, int, int]]:
    """Return for each limit the error, the limit and the length of the longest."""
    limits = data.read("loadbalancer")["limits"]
    return [
        ("loadbalancer-key-length", limits["key"], max(map(len, request.parameters), default=0)),
        ("loadbalancer-value-length", limits["value"], max(map(len, request.parameters.values()), default=0)),
        ("loadbalancer-header-length", limits["header"], max(map(len, request.headers.values()), default=0)),
    ]


def _document(shown: LoadBalancer) -> dict[str, Json]:
    parts: dict[str, Any] = data.read("loadbalancer")["document"]["members"]
    document: dict[str, Json] = {}
    for name, part in parts.items():
        items = getattr(shown, part["attribute"])
        if items or not part.get("optional"):
            document[name] = [_item(item, part["members"]) for item in items]
    return document


def _item(item: object, members: Mapping[str, str]) -> dict[str, Json]:
    return {name: getattr(item, attribute) for name, attribute in members.items()}
