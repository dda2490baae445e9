"""``profiles``, ``faults``, ``forgeries`` and ``versions`` list what there is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from pytest_imds import FORGERIES, data
from pytest_imds.command.main import main
from pytest_imds.faults.kinds import KINDS
from pytest_imds.service import versions
from pytest_imds.vm import profiles

NAMES: dict[str, Iterable[str]] = {
    "profiles": profiles.names(),
    "faults": KINDS,
    "forgeries": FORGERIES,
    "versions": versions.known(),
}
every_listing = pytest.mark.parametrize("listing", NAMES)


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def row(capsys: pytest.CaptureFixture[str], listing: str, name: str) -> dict[str, Any]:
    (found,) = (row for row in json.loads(listed(capsys, listing, "--json")) if row["name"] == name)
    return dict(found)


@every_listing
def test_a_listing_has_a_plain_line_for_everything_there_is(listing: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = listed(capsys, listing)

    assert [line.split()[0].partition("(")[0] for line in out.splitlines()] == list(NAMES[listing])
    assert "\x1b" not in out
    assert not any(line.endswith(" ") for line in out.splitlines())


@every_listing
def test_a_program_gets_an_array_of_everything_there_is(listing: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(listed(capsys, listing, "--json"))

    assert [row["name"] for row in rows] == list(NAMES[listing])
    assert all(isinstance(row["about"], str) for row in rows)


def test_a_profile_is_listed_with_its_knobs(capsys: pytest.CaptureFixture[str]) -> None:
    about = data.read("profiles")["profiles"]["spot"]["about"]

    assert row(capsys, "profiles", "spot") == {"name": "spot", "about": about, "knobs": {"priority": "Spot"}}


def test_a_fault_is_listed_as_its_method_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    lines = listed(capsys, "faults").splitlines()

    assert "server_error(status=500)      500 or 503." in lines
    assert lines[0].startswith("gone(*, window=70)            410, while the host is serviced;")


def test_a_fault_is_listed_with_all_that_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert row(capsys, "faults", "latency")["parameters"] == [
        *("seconds", "jitter", "path", "after", "times", "window", "probability", "required")
    ]


def test_a_forgery_is_listed_with_what_finds_it(capsys: pytest.CaptureFixture[str]) -> None:
    forgery = FORGERIES["tampered-content"]

    assert row(capsys, "forgeries", "tampered-content") == {
        "name": "tampered-content",
        "about": forgery.why,
        "must_check": forgery.must_check,
        "reference": forgery.reference,
    }


def test_an_api_version_is_listed_with_what_it_brought(capsys: pytest.CaptureFixture[str]) -> None:
    assert row(capsys, "versions", "2020-12-01") == {
        "name": "2020-12-01",
        "about": "compute.evictionPolicy, compute.priority",
        "brought": ["compute.evictionPolicy", "compute.priority"],
    }
