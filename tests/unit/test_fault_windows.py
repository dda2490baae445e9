"""When faults have broken requests, as the report shows it."""

from __future__ import annotations

import pytest

from pytest_imds import Clock, Fault
from pytest_imds.clock import KEPT_JUMPS
from pytest_imds.faults.faults import Window
from tests.faulty import Faulty


def windows(faulty: Faulty) -> list[tuple[str, float | None, float | None, int]]:
    """Return the windows, with their times in whole seconds."""
    return [
        (fault, begin_s if begin_s is None else round(begin_s), end_s if end_s is None else round(end_s), hits)
        for fault, begin_s, end_s, hits in faulty.faults.windows()
    ]


def test_one_that_has_hit_nothing_has_no_beginning() -> None:
    faulty = Faulty()
    faulty.faults.gone()
    assert faulty.faults.windows() == [Window("gone(window=70)", None, None, 0)]


def test_a_window_ends_when_it_is_planned_to() -> None:
    faulty = Faulty()
    faulty.faults.gone(window=70)
    faulty.play_later(10, 20)
    assert windows(faulty) == [("gone(window=70)", 10, 80, 2)]
    faulty.play_later(100)
    assert windows(faulty) == [("gone(window=70)", 10, 80, 2)]


def test_what_breaks_so_many_ends_with_the_last() -> None:
    faulty = Faulty()
    faulty.faults.throttled(requests=2)
    faulty.play_later(5)
    assert windows(faulty) == [("throttled(requests=2)", 5, None, 1)]
    faulty.play_later(6, 7)
    assert windows(faulty) == [("throttled(requests=2)", 5, 11, 2)]


def test_a_window_that_is_used_up_earlier_ends_earlier() -> None:
    faulty = Faulty()
    faulty.faults.gone(window=70, times=1)
    faulty.play_later(5)
    assert windows(faulty) == [("gone(window=70, times=1)", 5, 5, 1)]


def test_one_that_is_cleared_ends_then() -> None:
    faulty = Faulty()
    faulty.faults.not_found()
    faulty.faults.server_error(path="/metadata/versions")
    faulty.play_later(3)
    faulty.clock.advance(4)
    faulty.faults.clear()
    faulty.play_later(5)
    assert [window[1:] for window in windows(faulty)] == [(3, 7, 1), (None, 7, 0)]


def test_each_of_a_sequence_has_its_own() -> None:
    faulty = Faulty()
    faulty.faults.sequence(Fault("gone", window=10), Fault("throttled", requests=1))
    faulty.play_later(1, 20)
    assert windows(faulty) == [("gone(window=10)", 1, 11, 1), ("throttled(requests=1)", 21, 21, 1)]


def test_time_that_passed_at_once_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    real = iter([100.0, 100.0, 100.0005, 102.0])
    monkeypatch.setattr("pytest_imds.clock.time.time", lambda: next(real))
    clock = Clock()
    for seconds in (10, 20, 5):
        clock.move(seconds)
    # Between the first two there was next to no time: they are one.
    assert [(jump.at_s, jump.seconds, jump.end_s) for jump in clock.jumps] == [
        (0, pytest.approx(30, abs=0.001), pytest.approx(30, abs=0.001)),
        (32, 5, 37),
    ]


def test_of_endless_jumps_the_last_are_kept() -> None:
    clock = Clock()
    for _ in range(KEPT_JUMPS + 10):
        clock.move(1)
        clock.began -= 1  # as if a second had passed
    assert len(clock.jumps) == KEPT_JUMPS
