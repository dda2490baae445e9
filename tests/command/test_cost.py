"""What the command line imports, and what it does not."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

from pytest_imds.command.main import main
from pytest_imds.command.parser import LISTINGS

HEAVY = {"werkzeug", "pytest_httpserver", "cryptography", "faker"}


def imported(code: str) -> set[str]:
    """Return which modules a fresh interpreter has imported when it has run ``code``."""
    asked = f"import sys; from pytest_imds.command.main import main\n{code}\nsys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=30, check=True)
    return set(done.stderr.split())


def test_the_listings_import_nothing_heavy() -> None:
    assert imported(f"for listing in {[*LISTINGS]}: main([listing])") & {*HEAVY, "pytest"} == set()


def test_a_vm_takes_no_server() -> None:
    modules = imported("main(['vm'])")

    assert modules & HEAVY == {"faker"}
    assert "pytest" not in modules


def test_a_server_takes_no_pytest() -> None:
    modules = imported("import pytest_imds.command.serve, pytest_imds.command.run\nmain(['serve', '--port', 'x'])")

    assert "werkzeug" in modules
    assert modules & {"pytest", "_pytest"} == set()


def test_the_script_is_the_same_program() -> None:
    (script,) = entry_points(group="console_scripts", name="pytest-imds")

    assert script.load() is main
