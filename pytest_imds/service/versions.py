"""The api-versions: which there are, which a service of an earlier time had, how it worded things."""

from __future__ import annotations

from functools import cache
from typing import Any

from pytest_imds import data
from pytest_imds.errors import ImdsUsageError
from pytest_imds.service.endpoints import Endpoint


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


def of(endpoint: Endpoint, newest: str | None) -> tuple[str, ...]:
    """Return the api-versions that ``endpoint`` has on such a service, oldest first."""
    return _of(endpoint.versions, endpoint.since, endpoint.version_parameter, newest)


def exists(endpoint: Endpoint, newest: str | None) -> bool:
    """Return whether such a service has ``endpoint``: an older one does not know what came later."""
    if endpoint.version_parameter is None:
        return endpoint.introduced <= supported(newest)[-1]
    return bool(of(endpoint, newest))


@cache
def _of(own: tuple[str, ...] | None, since: str, parameter: str | None, newest: str | None) -> tuple[str, ...]:
    if own is None:
        return tuple(version for version in supported(newest) if version >= since)
    # Another parameter counts other versions: that of the service says nothing of them.
    return tuple(version for version in own if parameter != "api-version" or version <= supported(newest)[-1])


@cache
def era(newest: str | None) -> dict[str, Any]:
    """Return how a service of that time worded things: the row of ``fixtures_data/api_versions.json``."""
    last = supported(newest)[-1]
    rows: list[dict[str, Any]] = data.read("api_versions")["eras"]
    return [row for row in rows if row["newest"] <= last][-1]
