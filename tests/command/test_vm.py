"""``vm`` prints what the service answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_imds import ImdsServer
from pytest_imds.command.main import main
from tests.http.wire import fetch


@pytest.mark.parametrize(
    ("profile", "seed", "version", "knobs"),
    [
        ("linux", 7, "2021-02-01", {}),
        ("windows", "blue", "2025-04-07", {"vm_size": "Standard_D4s_v5", "data_disks": 2, "zone": 1}),
        ("scale-set", 0, "2017-12-01", {"tags": {"env": "prod"}, "name": "123"}),
        ("classic", -1, "2020-09-01", {}),
    ],
)
def test_a_vm_is_shown_as_the_service_shows_it(
    profile: str, seed: int | str, version: str, knobs: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [f"--set={name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in knobs.items()]
    with ImdsServer(profile, seed=seed, **knobs) as server:
        served = fetch(server, f"/metadata/instance?api-version={version}").body

    assert main(["vm", "--profile", profile, f"--seed={seed}", "--api-version", version, *sets]) == 0
    assert capsys.readouterr().out.encode() == served + b"\n"


def test_a_vm_is_shown_in_the_newest_api_version_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    main(["vm"])
    newest = capsys.readouterr().out
    main(["vm", "--api-version", "2025-11-11", "--profile", "linux", "--seed", "0"])

    assert newest == capsys.readouterr().out


def test_an_unknown_api_version_is_an_error_that_lists_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vm", "--api-version", "2021-02-02"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(
        "pytest-imds: unknown api-version '2021-02-02'. did you mean '2021-02-01'? known: 2017-03-01,"
    )
