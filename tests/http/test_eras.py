"""A service pinned to an earlier time: its api-versions, and its messages."""

from __future__ import annotations

import json

import pytest

from pytest_imds import ImdsServer, ImdsUsageError, data
from tests.every import every
from tests.http.wire import api_versions, error, fetch

JANUARY_2021 = ["2020-10-01", "2020-09-01", "2020-07-15"]


def test_versions_lists_all_of_them_oldest_first(imds_server: ImdsServer) -> None:
    reply = fetch(imds_server, "/metadata/versions")
    assert reply.status == 200
    assert json.loads(reply.body) == {"apiVersions": api_versions()}
    assert len(api_versions()) == 37


@pytest.mark.parametrize("target", ["/metadata/versions/", "/metadata/versions?api-version=1999-01-01&format=xml"])
def test_versions_takes_no_parameters(imds_server: ImdsServer, target: str) -> None:
    assert fetch(imds_server, target).body == fetch(imds_server, "/metadata/versions").body


def test_versions_has_no_children(imds_server: ImdsServer) -> None:
    assert fetch(imds_server, "/metadata/versions/0").told == error("element-missing")


@pytest.mark.imds(newest="2020-10-01")
def test_service_of_january_2021_has_twenty_versions(imds_server: ImdsServer) -> None:
    versions = json.loads(fetch(imds_server, "/metadata/versions").body)["apiVersions"]
    assert len(versions) == 20
    assert versions == api_versions()[:20]


@pytest.mark.imds(newest="2020-10-01")
def test_service_of_january_2021_words_a_missing_api_version_as_it_did(imds_server: ImdsServer) -> None:
    assert fetch(imds_server, "/metadata/instance").told == error("version-missing-2019", JANUARY_2021)


@pytest.mark.imds(newest="2020-10-01")
@pytest.mark.parametrize("version", ["2020-12-01", "2025-04-07", "1999-01-01"])
def test_service_of_january_2021_words_an_unsupported_api_version_as_it_did(
    imds_server: ImdsServer, version: str
) -> None:
    reply = fetch(imds_server, f"/metadata/instance?api-version={version}")
    assert reply.told == error("version-unsupported-2020")
    assert reply.status == 400


def test_service_of_2019_answers_404_to_an_unsupported_api_version() -> None:
    with ImdsServer(newest="2019-11-01") as server:
        reply = fetch(server, "/metadata/instance?api-version=2020-06-01")
        assert reply.told == error("version-unsupported-2017")
        assert reply.status == 404
        assert fetch(server, "/metadata/instance?api-version=2019-11-01").status == 200


def test_service_of_2019_does_not_know_versions() -> None:
    with ImdsServer(newest="2019-11-01") as server:
        assert fetch(server, "/metadata/versions").told == error("category-unknown")


@every("newest", api_versions())
def test_every_era_uses_its_own_words(newest: str) -> None:
    era = [row for row in data.read("api_versions")["eras"] if row["newest"] <= newest][-1]
    has = [version for version in api_versions() if version <= newest]
    with ImdsServer(newest=newest) as server:
        missing = fetch(server, "/metadata/instance").told
        unsupported = fetch(server, "/metadata/instance?api-version=2999-01-01").told
    assert missing == error(era["version_missing"], has[:-4:-1])
    assert unsupported == error(era["version_unsupported"], has[:-4:-1])


@pytest.mark.parametrize(("newest", "listed"), [("2017-04-02", True), ("2021-12-13", True), ("2023-07-01", False)])
def test_metadata_itself_was_listed_until_2023(newest: str, listed: bool) -> None:
    with ImdsServer(newest=newest) as server:
        reply = fetch(server, "/metadata?format=text&api-version=2017-04-02")
        as_json = fetch(server, "/metadata?api-version=2017-04-02")
    assert reply.told == ((200, "text/plain; charset=utf-8", b"instance/") if listed else error("category-unknown"))
    assert as_json.told == error("category-unknown")


@pytest.mark.parametrize("newest", ["2020-10-02", "latest", ""])
def test_service_cannot_be_pinned_to_a_version_that_does_not_exist(newest: str) -> None:
    with pytest.raises(ImdsUsageError, match="unknown api-version"):
        ImdsServer(newest=newest)
