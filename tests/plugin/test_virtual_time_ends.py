"""Nothing of imds_clock is left when its test ends, however that ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.plugin.conftest import Run
from tests.plugin.fleets import passes, write
from tests.plugin.times import WHOSE

# What virtual time replaces.
REPLACED = [
    *((time, name) for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep")),
    (threading.Condition, "wait"),
    (threading.Thread, "join"),
    (asyncio.BaseEventLoop, "run_forever"),
]


def machines() -> list[object]:
    return [getattr(owner, name) for owner, name in REPLACED]


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Check that a run leaves all as it was, however it ends."""
    before = machines()
    yield
    assert machines() == before


# How a test may end that has virtual time: what it does, what a fixture of its own does, and what becomes of it.
ENDINGS = {
    "passes": ("sleep(60)", "", "passed"),
    "fails": ("assert False", "", "failed"),
    "raises_what_is_no_exception": ("raise SystemExit(1)", "", "failed"),
    "skips": ("pytest.skip('mine')", "", "skipped"),
    "errs_in_setup": ("pass", "raise LookupError('mine')", "errors"),
    "skips_in_setup": ("pass", "pytest.skip('mine')", "skipped"),
    "errs_in_teardown": ("pass", "yield\n        raise LookupError('mine')", "errors passed"),
    "has_a_fault_that_never_fires": ("request.getfixturevalue('imds_faults').gone()", "", "errors passed"),
    "leaves_a_thread_asleep": ("threading.Thread(target=sleep, args=[0.2], daemon=True).start()", "", "passed"),
}


@pytest.mark.parametrize("order", [1, -1], ids=["before", "after"])
def test_the_next_test_has_real_time(pytester: pytest.Pytester, run: Run, order: int) -> None:
    sources = [
        f"""
    @pytest.fixture
    def {name}(imds_clock):
        sleep(60)
        {own}

    def test_{name}({name}, request):
        {does}

    def test_after_{name}():
        is_real()
    """
        for name, (does, own, _) in ENDINGS.items()
    ]
    write(pytester, WHOSE, *sources)
    names = [f"test_it.py::test_{which}{name}" for name in ENDINGS for which in ("", "after_")]
    becomes = " ".join(ending[2] for ending in ENDINGS.values()).split()
    run(*names[::order]).assert_outcomes(
        passed=len(ENDINGS) + becomes.count("passed"),
        failed=becomes.count("failed"),
        skipped=becomes.count("skipped"),
        errors=becomes.count("errors"),
    )


@pytest.mark.parametrize("ends", ["raise KeyboardInterrupt", "pytest.exit('mine')"])
def test_an_interrupted_run_leaves_real_time(pytester: pytest.Pytester, run: Run, ends: str) -> None:
    write(pytester, WHOSE, f"    def test_it(imds_clock):\n        is_virtual()\n        {ends}")
    with suppress(KeyboardInterrupt):
        assert run().ret == pytest.ExitCode.INTERRUPTED


def test_a_module_that_is_imported_meanwhile_has_the_time_of_each_test(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(late="from time import sleep, monotonic")
    passes(
        pytester,
        run,
        WHOSE
        + """
    def test_virtual(imds_clock):
        import late
        began = late.monotonic()
        late.sleep(60)
        assert 60 <= late.monotonic() - began < 61

    def test_real():
        import late
        assert (late.sleep, late.monotonic) == (time.sleep, time.monotonic)
        is_real()

    test_virtual_again = test_virtual
    """,
        count=3,
    )
