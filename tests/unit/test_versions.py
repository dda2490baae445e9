"""The api-versions: which there are, and which a service of another time has."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pytest_imds import ImdsUsageError, data
from pytest_imds.host import Host
from pytest_imds.service import versions
from pytest_imds.service.handle import handle
from pytest_imds.service.message import Request
from pytest_imds.vm.provider import generate, generator
from tests import hosts
from tests.every import every

VERSIONS: list[str] = [row["version"] for row in data.read("api_versions")["versions"]]
ERAS: list[dict[str, Any]] = data.read("api_versions")["eras"]
GOOD = Request("GET", "/metadata/instance", "api-version=2021-02-01", {"metadata": "true"})


@pytest.fixture
def host() -> Host:
    return hosts.host(generate(generator(), "linux", "versions", {}))


def listed(host: Host) -> Any:
    return json.loads(handle(replace(GOOD, path="/metadata/versions", query=""), host).body)["apiVersions"]


def test_there_are_37_versions(host: Host) -> None:
    assert listed(host) == VERSIONS
    assert (len(VERSIONS), VERSIONS[0], VERSIONS[-1]) == (37, "2017-03-01", "2025-11-11")


@pytest.mark.parametrize(
    ("newest", "count"), [("2020-10-01", 20), ("2021-01-01", 22), ("2023-07-01", 31), ("2025-04-07", 35)]
)
def test_a_pinned_service_has_the_versions_of_its_time(host: Host, newest: str, count: int) -> None:
    host.newest = newest

    assert listed(host) == VERSIONS[:count]
    assert versions.supported(newest) == tuple(VERSIONS[:count])
    assert VERSIONS[count - 1] == newest


@pytest.mark.parametrize("row", ERAS, ids=lambda row: row["newest"])
def test_an_era_begins_with_its_version_and_ends_before_the_next(row: dict[str, Any]) -> None:
    following = [other["newest"] for other in ERAS if other["newest"] > row["newest"]]
    last = VERSIONS[VERSIONS.index(min(following)) - 1] if following else None

    assert versions.era(row["newest"]) == versions.era(last) == row


@pytest.mark.parametrize("newest", ["2020-10-02", "latest", ""])
def test_a_service_cannot_be_pinned_to_a_version_that_does_not_exist(newest: str) -> None:
    with pytest.raises(ImdsUsageError, match=f"unknown api-version '{newest}'"):
        versions.check(newest)


@every("version", VERSIONS)
def test_every_version_is_answered_and_nothing_newer_than_the_service(host: Host, version: str) -> None:
    host.newest = version
    position = VERSIONS.index(version)
    statuses = [handle(replace(GOOD, query=f"api-version={one}"), host).status for one in VERSIONS]

    assert [status == 200 for status in statuses] == [True] * (position + 1) + [False] * (len(VERSIONS) - position - 1)
