"""Workers of pytest-xdist: servers, virtual time, the redirect and the guard are each one's own; nothing is left."""

from __future__ import annotations

import textwrap

import pytest

from tests.network.test_redirect_fixture import ASKS
from tests.plugin import test_isolation as isolation
from tests.plugin import times
from tests.plugin.conftest import Run
from tests.stories import told

PORTS = """
import pytest

@pytest.fixture(autouse=True)
def port(imds_server, pytestconfig, worker_id):
    (pytestconfig.rootpath / f"{worker_id}.{imds_server.port}").touch()
"""
TIMES = """
import threading
import pytest

@pytest.mark.parametrize("n", range(6))
def test_virtual(imds_clock, n):
    is_virtual()

@pytest.mark.parametrize("n", range(6))
def test_real(n):
    is_real()
"""
REDIRECTED = """
@pytest.mark.parametrize("number", range(8))
def test_name(imds_redirect, imds_vm, number):
    assert [ask() for _ in range(3)] == [imds_vm.name] * 3
"""
GUARDED = """
from pytest_imds import ImdsGuardError

@pytest.mark.parametrize("number", range(4))
def test_asks(number):
    with pytest.raises(ImdsGuardError, match=rf"test_guarded.py::test_asks\\[{number}\\] \\(call\\) wanted"):
        ask()
"""
FAILING = """
import pytest

@pytest.mark.imds_fault("gone")
def test_asks(imds_redirect):
    ask()
"""


def test_each_worker_is_by_itself(pytester: pytest.Pytester, run_on_workers: Run) -> None:
    """In one run: to start workers takes longer than all of their tests."""
    left = [
        source.replace("def test_", f"def test_{number}_")
        for number in range(4)
        for source in (isolation.LEAVES, isolation.FINDS)
    ]
    pytester.makeconftest(PORTS)
    pytester.makepyfile(
        test_left="".join(map(textwrap.dedent, [isolation.CLIENT, *left])),
        test_times=textwrap.dedent(times.WHOSE) + TIMES,
        test_redirected=ASKS + REDIRECTED,
        test_guarded=ASKS + GUARDED,
        test_failing=ASKS + FAILING,
    )
    result = run_on_workers("--imds-guard", "--junitxml=report.xml", "--imds-report=report.html")
    result.assert_outcomes(passed=8 + 12 + 8 + 4, failed=1)
    # The worker has no terminal; it is told how wide that of the run is.
    (row,) = [line for line in result.outlines if line.startswith("1  0.")]
    assert row.endswith("…    410  gone")
    assert "again: pytest test_failing.py::test_asks --imds-seed=0 --imds-guard" in result.outlines
    assert 'name="imds_again"' in (pytester.path / "report.xml").read_text(encoding="utf-8")
    ports = {path.name for path in pytester.path.glob("gw*")}
    assert len(ports) == len({name.split(".")[1] for name in ports}) == 2
    run = told((pytester.path / "report.html").read_text(encoding="utf-8"))
    assert (len(run["tests"]), run["others"]) == (8 + 12 + 8 + 4 + 1, 0)
    redirected = [test for test in run["tests"] if test["id"].startswith("test_redirected")]
    assert {len(test["story"]["servers"][0]["exchanges"]) for test in redirected} == {3}
