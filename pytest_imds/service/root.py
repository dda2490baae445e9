"""``/metadata`` itself, and ``/metadata/versions``."""

from __future__ import annotations

from pytest_imds import tree
from pytest_imds.host import Host
from pytest_imds.service import replies, versions
from pytest_imds.service.message import Reply, Request


def answer(request: Request, host: Host) -> Reply:
    """Answer ``/metadata``: no endpoint, or a listing from a service of 2017 to 2023.

    Source: ``root`` in ``fixtures_data/behaviour.json``.
    """
    wants_text = request.parameters.get("format", "").lower() == "text"
    if wants_text and versions.era(host.newest)["root_listing"]:
        return replies.text(host, "instance/")
    return replies.error(host, "category-unknown")


def listed(request: Request, host: Host) -> Reply:
    """Answer ``/metadata/versions``: ``{"apiVersions": ["2017-03-01", ...]}``, oldest first.

    Source: ``versions`` in ``fixtures_data/behaviour.json``.
    """
    return replies.json_text(host, tree.compact({"apiVersions": list(versions.supported(host.newest))}))
