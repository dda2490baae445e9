"""What ``--help`` says, and that the documentation says as much."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_imds.command.main import SUBCOMMANDS, main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "command-line.md"


def helped(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_help_names_every_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(re.findall(r"^    (\w+)", helped(capsys), re.MULTILINE)) == set(SUBCOMMANDS)


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_the_documentation_has_every_subcommand_and_its_options(
    subcommand: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = set(re.findall(r"(?<=\W)--[a-z-]+", helped(capsys, subcommand))) - {"--help"}
    page = PAGE.read_text(encoding="utf-8")

    assert f"`{subcommand}`" in page
    assert options
    assert {option for option in options if f"`{option}" not in page} == set()
