"""A marker imds_fault that cannot be: the test fails at setup, at the user's line, with what there is."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Run

# What stands in the marker, and what the message says, line by line.
MISTAKES = {
    "name": ('"gon"', ["unknown fault 'gon'.", "  did you mean 'gone'?", "  known: blackhole, connect_timeout, *"]),
    "no name": ("", ["the marker imds_fault cannot be ().", "  right: imds_fault(name, [*][*]parameters): *"]),
    "name by keyword": ('name="gone"', ["the marker imds_fault cannot be ().", "  right: imds_fault(name, *"]),
    "name of a wrong type": ("410", ["the marker imds_fault cannot be (410,).", "  right: imds_fault(name, *"]),
    "private name": ('"_plan"', ["unknown fault '_plan'.", "*known: *"]),
    "other method": ('"clear"', ["unknown fault 'clear'.", "*known: *"]),
    "parameter": (
        '"gone", windw=70',
        ["unknown parameter of the fault gone 'windw'.", "  did you mean 'window'?", "  known: after, *"],
    ),
    "parameter of another fault": (
        '"gone", status=503',
        ["unknown parameter of the fault gone 'status'.", "*known: after, path, *"],
    ),
    "position": ('"gone", 70', ["what the fault gone takes cannot be (70,).", "  right: gone([*], window=70, *"]),
    "missing": ('"latency"', ["what the fault latency takes cannot be ().", "  right: latency(seconds, jitter=0, *"]),
    "value": ('"gone", window=-1', ["window cannot be -1.", "  right: seconds, 0 or more"]),
    "own value": ('"server_error", status=502', ["status cannot be 502.", "  right: 500 or 503"]),
    "path of a door": (
        '"refused", path="/metadata*"',
        ["unknown parameter of the fault refused 'path'.", "  known: after, *"],
    ),
    "sequence of nothing": ('"sequence"', ["sequence() cannot be ().", "  right: one fault at least"]),
    "sequence of a name": ('"sequence", "gone"', ["sequence() cannot be 'gone'.", '*Fault("gone", window=70)']),
    "sequence without an end": (
        '"sequence", Fault("not_found"), Fault("gone")',
        ["sequence() cannot be 'not_found()'.", "  right: faults with an end: times= or window="],
    ),
    "wrong in a sequence": ('"sequence", Fault("gone", window=0)', ["window cannot be 0.", "  right: seconds, more *"]),
    "parameter of a sequence": (
        '"sequence", Fault("gone"), times=3',
        ["sequence cannot be {'times': 3}.", '  right: faults alone, such as Fault("gone", window=70)'],
    ),
}


def test_mistakes_fail_at_setup_at_their_lines(pytester: pytest.Pytester, run: Run) -> None:
    # Not a run for each: it is pytest that takes the time.
    tests = [
        f"@pytest.mark.imds_fault({marker})\ndef test_{n}(): ..." for n, (marker, _) in enumerate(MISTAKES.values())
    ]
    path = pytester.makepyfile("\n".join(["import pytest", "from pytest_imds import Fault", *tests]))
    result = run()
    result.assert_outcomes(errors=len(MISTAKES))
    for number, (_, (first, *rest)) in enumerate(MISTAKES.values()):
        told = [f"*ERROR at setup of test_{number} *", f"{path}:{3 + 2 * number}: {first}", *rest]
        result.stdout.fnmatch_lines(told, consecutive=True)
    result.stdout.no_fnmatch_line("*plugin.py*")


NOT_NEAREST = (
    '"gon"',
    '"gone", windw=70',
    '"gone", window=0',
    '"gone", window=-1',
    '"gone", 70',
    '"latency"',
    "",
    "name=1",
)


def test_mistakes_are_shown_at_their_lines_though_other_markers_are_nearer(pytester: pytest.Pytester, run: Run) -> None:
    tests = [
        f"""
@pytest.mark.imds_fault({marker})
class TestIt{number}:
    @pytest.mark.imds_vm("linux")
    @pytest.mark.imds_fault("not_found", times=1)
    def test_it(self): ..."""
        for number, marker in enumerate(NOT_NEAREST)
    ]
    path = pytester.makepyfile("\n".join(["import pytest", *tests]))
    result = run()
    result.assert_outcomes(errors=len(NOT_NEAREST))  # what the nearer one has planned is not asked for
    for number in range(len(NOT_NEAREST)):
        told = [f"*ERROR at setup of TestIt{number}.test_it *", f"{path}:{3 + 6 * number}: *"]
        result.stdout.fnmatch_lines(told, consecutive=True)


def test_mistake_in_a_fault_of_a_sequence_is_shown_where_it_is_written(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import pytest
        from pytest_imds import Fault

        @pytest.mark.imds_fault("sequence", Fault("gone", times=1), Fault("throtled"))
        def test_it(): ...
        """
    )
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["test_*.py:4: in <module>", "*unknown fault 'throtled'.", "*mean 'throttled'?"])
