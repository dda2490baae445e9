"""Faults that let no connection be made: when the door is shut, and when it may be opened."""

from __future__ import annotations

import pytest

from pytest_imds import Fault, Faults, ImdsUsageError
from pytest_imds.faults.plan import ON_THE_WAY_S
from pytest_imds.faults.script import End
from pytest_imds.service.message import Request
from tests.faulty import INSTANCE, Faulty


@pytest.fixture
def faulty() -> Faulty:
    return Faulty()


@pytest.fixture
def faults(faulty: Faulty) -> Faults:
    return faulty.faults


def attempt(faults: Faults, count: int = 1) -> list[str]:
    """Try to connect, and return what each attempt found."""
    found: list[str] = []
    for _ in range(count):
        found.append(faults.door() or "open")
        faults.attempted()
    return found


def test_without_a_fault_the_door_is_open(faults: Faults) -> None:
    faults.gone()

    assert faults.door() is None
    assert faults.may_open()


@pytest.mark.parametrize(("name", "kind"), [("refused", "refused"), ("connect_timeout", "unanswered")])
def test_a_door_is_shut_for_ever(faulty: Faulty, faults: Faults, name: str, kind: str) -> None:
    Fault(name).plan(faults)

    assert attempt(faults, 2) == [kind, kind]
    faulty.clock.advance(86400)
    assert faults.door() == kind
    assert not faults.may_open()


def test_attempts_at_a_shut_door_have_fired(faulty: Faulty, faults: Faults) -> None:
    faulty.clock.advance(50)
    faults.refused()
    assert faults.idle() == ["refused()"]
    attempt(faults)

    (fired,) = faults.fired
    assert (fired.fault, fired.request) == ("refused", "connect")
    assert 50 <= fired.at_s < 52
    assert faults.idle() == []


def test_attempts_at_an_open_door_have_not(faults: Faults) -> None:
    faults.gone()
    faults.refused(after=1)
    faults.attempted()

    assert faults.fired == ()


def test_after_counts_requests(faulty: Faulty, faults: Faults) -> None:
    faults.refused(after=2)

    assert [attempt(faults), faulty.play(), attempt(faults), faulty.play(), attempt(faults)] == [
        ["open"], [""], ["open"], [""], ["refused"],
    ]  # fmt: skip


def test_times_counts_attempts(faults: Faults) -> None:
    faults.refused(times=2)

    assert attempt(faults, 3) == ["refused", "refused", "open"]


def test_a_window_begins_when_the_door_is_shut(faulty: Faulty, faults: Faults) -> None:
    faults.refused(window=30)
    faults.door()
    faulty.clock.advance(28)
    assert faults.door() == "refused"
    faulty.clock.advance(2)
    assert faults.door() is None
    assert faults.may_open()


def test_whoever_was_counted_last_still_finds_the_door_shut(faulty: Faulty, faults: Faults) -> None:
    faults.refused(times=1)
    attempt(faults)
    assert not faults.may_open()
    faulty.clock.advance(ON_THE_WAY_S)
    assert faults.may_open()


def test_after_clear_the_door_may_be_opened(faults: Faults) -> None:
    faults.refused()
    attempt(faults)
    faults.clear()

    assert faults.door() is None
    assert faults.may_open()


def test_a_request_over_a_connection_from_before_is_reset_and_counted(faults: Faults) -> None:
    faults.refused(times=1)
    broken = faults.breaking(Request("GET", INSTANCE))

    assert broken.writer is not None
    assert broken.writer(b"head", b"body") == ((), End.RESET)
    assert faults.door() is None
    assert [fired.request for fired in faults.fired] == [f"GET {INSTANCE}"]


def test_of_two_doors_the_one_planned_first_is_shut(faulty: Faulty, faults: Faults) -> None:
    faults.refused(times=1)
    faults.connect_timeout(times=1)

    assert attempt(faults, 3) == ["refused", "unanswered", "open"]


def test_another_fault_does_not_open_the_door(faulty: Faulty, faults: Faults) -> None:
    faults.gone()
    faults.refused()

    assert faults.door() == "refused"


def test_a_sequence_shuts_the_door_when_the_turn_comes(faulty: Faulty, faults: Faults) -> None:
    faults.sequence(Fault("gone", times=1), Fault("refused", times=1), Fault("not_found", times=1))

    assert [attempt(faults), faulty.play(), attempt(faults, 2), faulty.play()] == [
        ["open"], ["gone"], ["refused", "open"], ["not_found"],
    ]  # fmt: skip


def test_a_door_whose_turn_has_not_come_keeps_no_door_shut(faulty: Faulty, faults: Faults) -> None:
    faults.sequence(Fault("refused", window=10), Fault("gone", window=10), Fault("connect_timeout"))
    faults.door()
    faulty.clock.advance(10)

    assert faults.door() is None
    assert faults.may_open()


def test_a_door_that_follows_another_keeps_it_shut(faulty: Faulty, faults: Faults) -> None:
    faults.sequence(Fault("refused", window=10), Fault("connect_timeout", window=10))
    faults.door()
    faulty.clock.advance(10)

    assert not faults.may_open()
    assert faults.door() == "unanswered"


@pytest.mark.parametrize("name", ["refused", "connect_timeout"])
@pytest.mark.parametrize("term", [{"path": "/metadata*"}, {"probability": 0.5}], ids=str)
def test_a_connection_that_is_not_made_has_no_path_and_no_chance(
    faults: Faults, name: str, term: dict[str, object]
) -> None:
    with pytest.raises(ImdsUsageError, match=f"unknown parameter of the fault {name} '{next(iter(term))}'") as refused:
        Fault(name, **term).plan(faults)

    assert "known: after, required, times, window\n" in str(refused.value)
