"""What the command line imports, and what it does not."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

from pytest_imds.command.main import main
from pytest_imds.command.parser import LISTINGS

HEAVY = {"werkzeug", "pytest_httpserver", "cryptography", "faker"}


def test_each_subcommand_imports_no_more_than_it_needs_and_none_imports_pytest() -> None:
    code = f"""
import sys
from pytest_imds.command.main import main
def told(): sys.stderr.write(" ".join(sys.modules) + "\\n")
for listing in {[*LISTINGS]}: main([listing])
told()
main(["vm"])
told()
import pytest_imds.command.run, pytest_imds.command.serve
told()
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    listings, vm, server = (set(line.split()) for line in run.stderr.splitlines())

    assert listings & HEAVY == set()
    assert vm & HEAVY == {"faker"}
    assert server & HEAVY == {"faker", "pytest_httpserver", "werkzeug"}
    assert server & {"pytest", "_pytest"} == set()


def test_the_script_is_the_same_program() -> None:
    (script,) = entry_points(group="console_scripts", name="pytest-imds")

    assert script.load() is main
