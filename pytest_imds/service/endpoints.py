"""The paths under ``/metadata``, and the rules that requests to each follow.

They are data: ``fixtures_data/endpoints.json``, where each has its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pytest_imds import data


@dataclass(frozen=True)
class Endpoint:
    """A path that is answered.

    Attributes:
        path: the path below ``/metadata``, such as ``identity/info``; empty for ``/metadata`` itself.
        route: the segments of the request below it.
        methods: the verbs that it takes.
        version_parameter: the query parameter that names the api-version; None if it takes none.
        versions: its own api-versions; None if it has those of the service.
        since: the first api-version of the service that it has.
        header_free_versions: the api-versions that need no Metadata header.
        header_parameter: a query parameter that is as good as the Metadata header.
        elements: whether each element of its document has a path of its own.
        introduced: the api-version that the service had when it came, where it takes none itself.
        asked_for: the option without which the service does not have it.
        errors: by the name of an error that any endpoint gives, the one that this endpoint gives.
    """

    path: str
    route: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("GET",)
    version_parameter: str | None = None
    versions: tuple[str, ...] | None = None
    since: str = ""
    header_free_versions: tuple[str, ...] = ()
    header_parameter: str = ""
    elements: bool = False
    introduced: str = ""
    asked_for: str = ""
    errors: Mapping[str, str] | None = None

    def error(self, name: str) -> str:
        """Return the error that this endpoint gives for ``name``."""
        return (self.errors or {}).get(name, name)


@lru_cache(maxsize=256)  # a client asks for the same paths again and again
def find(segments: tuple[str, ...]) -> Endpoint | None:
    """Return the endpoint that the segments of a path below ``/metadata`` lead to, or None."""
    rows = data.read("endpoints")
    for depth in range(len(segments), 0, -1):
        path = "/".join(segments[:depth])
        if path in rows:
            return _endpoint(path, segments[depth:], rows[path])
    return None if segments else _endpoint("", (), rows[""])


def _endpoint(path: str, route: tuple[str, ...], row: Mapping[str, Any]) -> Endpoint:
    versioned = "since" in row or "versions" in row
    return Endpoint(
        path,
        route,
        methods=tuple(row.get("methods", ("GET",))),
        version_parameter=row.get("version_parameter", "api-version") if versioned else None,
        versions=tuple(row["versions"]) if "versions" in row else None,
        since=row.get("since", ""),
        header_free_versions=tuple(row.get("header_free_versions", ())),
        header_parameter=row.get("header_parameter", ""),
        elements=row.get("elements", False),
        introduced=row.get("introduced", ""),
        asked_for=row.get("asked_for", ""),
        errors=row.get("errors"),
    )
