"""Workers of pytest-xdist: what each of them has of its own, and what is the same on all; nothing is left.

In two runs: to start workers takes longer than all of their tests.
"""

from __future__ import annotations

import re
import textwrap

import pytest

from tests.network.test_redirect_fixture import ASKS
from tests.plugin import fleets, times
from tests.plugin import test_audit as audit
from tests.plugin import test_chaos as chaos
from tests.plugin import test_isolation as isolation
from tests.plugin import test_reproducible as reproducible
from tests.plugin.conftest import Run
from tests.stories import told

# Inner tests write down who has run them, with which server and which root of trust.
OWN = """
from hashlib import sha256
import pytest

@pytest.fixture(autouse=True)
def own(imds_server, imds_attested, pytestconfig, worker_id):
    root = sha256(imds_attested.root_pem).hexdigest()
    (pytestconfig.rootpath / f"{worker_id}.{imds_server.port}.{root}").touch()
"""
VMS = textwrap.dedent(reproducible.RECORD + reproducible.TESTS)
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
AUDITED = """
@pytest.mark.imds(audit=["metadata-header"])
@pytest.mark.parametrize("good", [True, False, True, False])
def test_it(imds_server, good):
    ask(imds_server, headers={"Metadata": "true"} if good else {})
"""


def test_each_worker_is_by_itself(pytester: pytest.Pytester, run: Run, run_on_workers: Run) -> None:
    left = [
        source.replace("def test_", f"def test_{number}_")
        for number in range(4)
        for source in (isolation.LEAVES, isolation.FINDS)
    ]
    pytester.makeini("[pytest]\nimds_authority_keys = ec")
    pytester.makeconftest(OWN)
    pytester.makepyfile(
        test_left="".join(map(textwrap.dedent, [isolation.CLIENT, *left])),
        test_times=textwrap.dedent(times.WHOSE) + TIMES,
        test_redirected=ASKS + REDIRECTED,
        test_guarded=ASKS + GUARDED,
        test_failing=ASKS + FAILING,
        test_vms=VMS,
        test_audited=audit.CLIENT + AUDITED,
    )
    result = run_on_workers("--imds-guard", "--junitxml=report.xml", "--imds-report=report.html")
    result.assert_outcomes(passed=8 + 12 + 8 + 4 + 4 + reproducible.COUNT, failed=1, errors=2)
    result.stdout.fnmatch_lines(["1. metadata-header: *", "1. metadata-header: *"])
    # The worker has no terminal; it is told how wide that of the run is.
    (row,) = [line for line in result.outlines if line.startswith("1  0.") and "  410  " in line]
    assert row.endswith("…    410  gone")
    assert "again: pytest test_failing.py::test_asks --imds-seed=0 --imds-guard" in result.outlines
    assert 'name="imds_again"' in (pytester.path / "report.xml").read_text(encoding="utf-8")
    own = [path.name.split(".") for path in pytester.path.glob("gw*")]
    assert [len({*column}) for column in zip(*own, strict=True)] == [2, 2, 2]
    assert len(own) == 2
    report = told((pytester.path / "report.html").read_text(encoding="utf-8"))
    assert (len(report["tests"]), report["others"]) == (8 + 12 + 8 + 4 + 4 + reproducible.COUNT + 1, 0)
    redirected = [test for test in report["tests"] if test["id"].startswith("test_redirected")]
    assert {len(test["story"]["servers"][0]["exchanges"]) for test in redirected} == {3}

    vms = reproducible.recorded(pytester)
    run("--noconftest", "test_vms.py").assert_outcomes(passed=reproducible.COUNT)
    assert reproducible.recorded(pytester) == vms


def test_vms_and_a_new_seed_s_chaos_are_the_same_on_every_worker(
    pytester: pytest.Pytester, run: Run, run_on_workers: Run
) -> None:
    pytester.makepyfile(test_vms=VMS, test_chance="".join([fleets.CLIENT, chaos.IMPORTS, chaos.RECORDED]))
    result = run_on_workers("--dist", "loadgroup", "--imds-chaos")
    result.assert_outcomes(passed=reproducible.COUNT + 3)
    # xdist puts a test's group behind its name.
    vms = {name.partition("@")[0]: vm for name, vm in reproducible.recorded(pytester).items()}
    broken = chaos.recorded(pytester)
    shown = re.search(r"^imds chaos: seed (\d+) \(again: --imds-chaos=\1\)$", result.stdout.str(), re.MULTILINE)
    assert shown
    result.stdout.fnmatch_lines(
        [f"=* imds chaos, seed {shown[1]} =*", "test_chance.py::test_it[[]?[]]", "  * s: GET /metadata/*"]
    )

    run(f"--imds-chaos={shown[1]}").assert_outcomes(passed=reproducible.COUNT + 3)
    assert (reproducible.recorded(pytester), chaos.recorded(pytester)) == (vms, broken)
    assert (len(vms), len(broken)) == (reproducible.COUNT, 3)
