"""Faults that are played one after another."""

from __future__ import annotations

import pytest

from pytest_imds import Fault, Faults, ImdsUsageError
from pytest_imds.faults.fault import planned
from tests.faulty import Faulty


@pytest.fixture
def faulty() -> Faulty:
    return Faulty()


@pytest.fixture
def faults(faulty: Faulty) -> Faults:
    return faulty.faults


def test_each_fault_begins_when_the_one_before_is_over(faulty: Faulty, faults: Faults) -> None:
    faults.sequence(Fault("gone", window=70), Fault("throttled", requests=2), Fault("not_found", times=1))

    assert faulty.play_later(0, 60, 10, 0, 0, 0) == ["gone", "gone", "throttled", "throttled", "not_found", ""]


def test_after_counts_from_the_end_of_the_one_before(faulty: Faulty, faults: Faults) -> None:
    faults.sequence(Fault("gone", times=1), Fault("not_found", after=2, times=1))

    assert faulty.play(5) == ["gone", "", "", "not_found", ""]


def test_a_window_begins_with_the_first_request_that_its_own_fault_breaks(faulty: Faulty, faults: Faults) -> None:
    faults.sequence(Fault("gone", window=10), Fault("not_found", window=10))

    assert faulty.play_later(0, 100, 8, 2) == ["gone", "not_found", "not_found", ""]


def test_the_last_fault_needs_no_end(faulty: Faulty, faults: Faults) -> None:
    faults.sequence(Fault("gone", times=1), Fault("not_found"))

    assert faulty.play_later(0, 0, 86400) == ["gone", "not_found", "not_found"]


def test_a_fault_waits_for_the_path_of_the_one_before(faulty: Faulty, faults: Faults) -> None:
    faults.sequence(Fault("gone", path="/metadata/identity/*", times=1), Fault("not_found"))

    assert [*faulty.play(), *faulty.play(1, "/metadata/identity/info"), *faulty.play()] == ["", "gone", "not_found"]


def test_the_same_fault_may_be_played_twice(faulty: Faulty, faults: Faults) -> None:
    gone = Fault("gone", times=1)
    faults.sequence(gone, Fault("not_found", times=1), gone)

    assert faulty.play(4) == ["gone", "not_found", "gone", ""]


def test_two_sequences_are_played_side_by_side(faulty: Faulty, faults: Faults) -> None:
    faults.sequence(Fault("latency", 1, times=1), Fault("gone", times=1))
    faults.sequence(Fault("not_found", times=1), Fault("latency", 1))

    assert faulty.play(3) == ["latency+not_found", "gone+latency", "latency"]


def test_a_fault_that_was_not_reached_is_idle(faulty: Faulty, faults: Faults) -> None:
    faults.sequence(Fault("gone", times=1), Fault("not_found", times=1), Fault("server_error", 503, required=False))
    faulty.play()

    assert faults.idle() == ["not_found(times=1)"]


def test_chance_in_a_sequence_comes_from_the_seed() -> None:
    def played(seed: str) -> list[str]:
        faulty = Faulty(seed)
        faulty.faults.sequence(Fault("gone", probability=0.5, times=20), Fault("not_found", probability=0.5))
        return faulty.play(80)

    assert played("one") == played("one") != played("other")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ((), r"sequence\(\) cannot be \(\)\.\n  right: one fault at least"),
        (("gone",), r"""sequence\(\) cannot be 'gone'\.\n  right: faults, such as Fault\("gone", window=70\)"""),
        ((Fault("not_found"), Fault("gone")), r"'not_found\(\)'\.\n  right: faults with an end: times= or window="),
        ((Fault("not_found", times=1), Fault("gone", times=0)), "times cannot be 0"),
    ],
    ids=["empty", "no fault", "no end", "a wrong fault"],
)
def test_a_sequence_that_is_wrong_is_refused_and_not_planned(
    faulty: Faulty, faults: Faults, wrong: tuple[Fault, ...], told: str
) -> None:
    with pytest.raises(ImdsUsageError, match=told):
        faults.sequence(*wrong)

    assert (faults.planned, faults.idle(), faulty.changes) == (False, [], 0)


def test_the_marker_plans_a_fault_or_a_sequence(faulty: Faulty, faults: Faults) -> None:
    planned("gone", times=1).plan(faults)
    planned("sequence", Fault("not_found", times=1), Fault("server_error", times=1)).plan(faults)

    assert faulty.play(4) == ["gone", "not_found", "server_error", ""]


def test_a_sequence_takes_faults_alone() -> None:
    with pytest.raises(ImdsUsageError, match=r"sequence cannot be {'cycle': True}\.\n  right: faults alone, such as"):
        planned("sequence", Fault("gone"), cycle=True)
