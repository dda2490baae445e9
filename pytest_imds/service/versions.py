"""The api-versions: which there are, which a service of an earlier time had, what it says of others."""

from __future__ import annotations

from functools import cache
from typing import Any

from pytest_imds import data, tree
from pytest_imds.errors import ImdsUsageError
from pytest_imds.host import Host
from pytest_imds.service import replies
from pytest_imds.service.message import Reply, Request


def known() -> tuple[str, ...]:
    """Return every api-version, oldest first."""
    return tuple(row["version"] for row in data.read("api_versions")["versions"])


def check(newest: str | None) -> None:
    """Raise unless a service can be pinned to ``newest``.

    Raises:
        ImdsUsageError: there is no such api-version.
    """
    if newest is not None and newest not in known():
        raise ImdsUsageError.unknown("api-version", newest, known())


@cache
def supported(newest: str | None) -> tuple[str, ...]:
    """Return the api-versions of a service whose newest is ``newest``, oldest first."""
    return tuple(version for version in known() if newest is None or version <= newest)


@cache
def era(newest: str | None) -> dict[str, Any]:
    """Return how a service of that time worded things: the row of ``fixtures_data/api_versions.json``."""
    last = supported(newest)[-1]
    rows: list[dict[str, Any]] = data.read("api_versions")["eras"]
    return [row for row in rows if row["newest"] <= last][-1]


def refusal(request: Request, host: Host, since: str) -> Reply | None:
    """Refuse a request without an api-version, or with one that the category does not have.

    Args:
        request: what was asked.
        host: what answers.
        since: the first api-version of the category.
    """
    version = request.parameters.get("api-version", "")
    has = supported(host.newest)
    if version in has and version >= since:
        return None
    count = data.read("api_versions")["newest_versions"]["count"]
    wording = era(host.newest)["version_unsupported" if version else "version_missing"]
    return replies.error(host, wording, newest_versions=list(reversed(has[-count:])))


def answer(request: Request, host: Host) -> Reply:
    """Answer ``/metadata/versions``: ``{"apiVersions": ["2017-03-01", ...]}``, oldest first.

    Source: ``versions`` in ``fixtures_data/behaviour.json``.
    """
    has = supported(host.newest)
    if len(request.segments) > 2:
        return replies.error(host, "element-missing")
    if has[-1] < data.read("behaviour")["versions"]["since"]:
        return replies.error(host, "category-unknown")
    return replies.json_text(host, tree.compact({"apiVersions": list(has)}))
