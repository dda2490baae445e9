"""Unmodified clients ask at the addresses of Azure itself, in a network where nothing but the redirect leads anywhere.

Some of them connect in C, where nothing here could refuse a connection to the real addresses. So the tests are in
``tests/private``, and are run from here, in processes that have left the network of the machine before.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRIVATE = ROOT / "tests" / "private"
TIMEOUT_S = 60
MAIN = """
import sys
from pytest_imds.network import inside
inside.make([])
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""
PATCHED = f"import tests.private.patching\n{MAIN}"
ALONE = ("-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "pytest_imds.plugin")
PYREQWEST = sys.version_info >= (3, 11)


class Run(NamedTuple):
    """What runs in a process of its own, and how many tests have to pass. To start one takes longer than its tests."""

    files: tuple[str, ...]
    passed: int
    main: str = MAIN
    options: tuple[str, ...] = ()


RUNS = {
    "sockets": Run(("blocking_clients", "trio_clients", "native_clients", "late_uvloop"), 64 + PYREQWEST),
    "loops": Run(("asyncio_clients", "uvloop_clients"), 59),
    "gevent first": Run(("gevent",), 6, PATCHED),
    "gevent later": Run(("gevent",), 6, options=("--imds-guard",)),
}


@pytest.mark.imds_namespace
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_clients_in_a_network_where_nobody_is(run: Run) -> None:
    files = [str(PRIVATE / f"test_{file}.py") for file in run.files]
    done = subprocess.run(
        [sys.executable, "-c", run.main, *ALONE, *run.options, *files],
        cwd=ROOT,
        env={**_without_pytest(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
    )
    said = done.stdout

    assert done.returncode == 0, said
    passed = re.search(r"^(\d+) passed", said, re.MULTILINE)
    assert passed is not None, said
    assert int(passed[1]) >= run.passed, said


def test_every_file_of_them_is_run() -> None:
    assert {file for run in RUNS.values() for file in run.files} == {
        path.stem.removeprefix("test_") for path in PRIVATE.glob("test_*.py")
    }


def test_they_do_not_run_in_the_network_of_the_machine() -> None:
    # This file, because whatever it asks nevertheless is seen by what refuses connections (tests/conftest.py).
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *ALONE, str(PRIVATE / "test_gevent.py")],
        cwd=ROOT,
        env={**_without_pytest(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )

    assert re.search(r"^6 skipped", done.stdout, re.MULTILINE), done.stdout


def _without_pytest() -> dict[str, str]:
    """The environment, without what tells this run of pytest from others."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
