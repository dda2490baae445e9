"""Faults at random: which they are, and which requests they break."""

from __future__ import annotations

import re
from itertools import groupby, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_imds import data
from pytest_imds.faults.chaos import CHOICES, IN_A_ROW, PROBABILITY, Chaos
from pytest_imds.faults.effects import Refusal
from pytest_imds.faults.faults import Broken, Faults
from pytest_imds.faults.script import End
from pytest_imds.service.message import Request
from tests.faulty import INSTANCE, Faulty

NAMES = {"410", "429", "500", "latency", "reset"}
GOOD = Request("GET", INSTANCE, "api-version=2021-02-01")


@pytest.fixture
def faulty() -> Faulty:
    return Faulty()


@pytest.fixture
def faults(faulty: Faulty) -> Faults:
    faulty.faults.unleash(Chaos(Random("chaos")))
    return faulty.faults


def chosen(seed: int | str, count: int = 200) -> list[str]:
    """Return what chance does to so many requests; an empty string is nothing."""
    chaos = Chaos(Random(seed))
    return [choice.told if (choice := chaos.chosen()) else "" for _ in range(count)]


def broken(faults: Faults, count: int = 200) -> list[Broken]:
    return [faults.breaking(GOOD) for _ in range(count)]


def fails(one: Broken) -> bool:
    return one.effect is not None


@given(st.integers())
def test_the_same_seed_gives_the_same_faults(seed: int) -> None:
    assert chosen(seed) == chosen(seed)


def test_another_seed_gives_other_faults() -> None:
    assert len({tuple(chosen(seed)) for seed in range(20)}) == 20


@given(st.integers())
def test_no_more_than_two_requests_in_a_row_fail(seed: int) -> None:
    failing = [told not in ("", "latency") for told in chosen(seed)]

    assert max((len(list(row)) for fails, row in groupby(failing) if fails), default=0) <= IN_A_ROW == 2


def test_two_in_a_row_do_fail() -> None:
    failing = [told not in ("", "latency") for told in chosen("seed", 400)]

    assert (True, True) in pairwise(failing)


@given(st.integers())
def test_every_choice_comes_up(seed: int) -> None:
    assert set(chosen(seed, 1000)) == {"", *NAMES}


def test_the_choices_are_five() -> None:
    assert {choice.told for choice in CHOICES} == NAMES


def test_about_as_many_requests_are_broken_as_are_said_to_be() -> None:
    # Somewhat fewer: after two in a row the third is spared.
    share = sum(told != "" for told in chosen("seed", 5000)) / 5000

    assert PROBABILITY - 0.06 < share < PROBABILITY


def test_a_refusal_has_the_status_that_is_told() -> None:
    refusals = [(choice.told, choice.effect.error) for choice in CHOICES if isinstance(choice.effect, Refusal)]

    assert len(refusals) == 3
    assert [str(data.read("errors")[error]["status"]) for _, error in refusals] == [told for told, _ in refusals]


def test_chance_breaks_requests_of_a_server(faults: Faults) -> None:
    all_of_them = broken(faults)

    assert faults.planned
    assert any(fails(one) for one in all_of_them)
    assert any(one.late_s for one in all_of_them)
    assert Broken() in all_of_them


def test_a_late_reply_is_late_by_half_a_second_at_most(faults: Faults) -> None:
    late = [one.late_s for one in broken(faults) if one.late_s]

    assert 0.1 <= min(late) < max(late) <= 0.5


def test_a_reset_sends_nothing(faults: Faults) -> None:
    scripts = [one.writer(b"head", b"body") for one in broken(faults) if one.writer]

    assert scripts
    assert set(scripts) == {((), End.RESET)}


def test_the_same_seed_breaks_a_server_in_the_same_way() -> None:
    def outcome(seed: str) -> tuple[list[float], tuple[str, ...]]:
        faults = Faulty().faults
        faults.unleash(Chaos(Random(seed)))
        return [one.late_s for one in broken(faults)], tuple(line.partition(" ")[0] for line in faults.chaotic)

    assert outcome("one") == outcome("one") != outcome("other")


@pytest.mark.parametrize("path", ["/", "/elsewhere", "/elsewhere/metadata", "/metadatafoo"])
def test_what_is_not_under_metadata_is_left_alone(faults: Faults, path: str) -> None:
    assert {faults.breaking(Request("GET", path)) for _ in range(100)} == {Broken()}
    assert faults.chaotic == ()


@pytest.mark.parametrize("path", ["/metadata", "/metadata/identity/oauth2/token", "/Metadata/instance", "//metadata/x"])
def test_whatever_is_under_metadata_is_broken(faults: Faults, path: str) -> None:
    assert any(fails(faults.breaking(Request("GET", path))) for _ in range(100))


def test_what_a_test_has_planned_goes_first(faulty: Faulty, faults: Faults) -> None:
    faults.not_found(times=100)
    planned = [one.effect for one in broken(faults, 100)]

    assert set(planned) == {Refusal("not-there-yet")}
    assert faults.chaotic == ()
    assert set(faulty.play(100)) == {""}
    assert faults.chaotic != ()


def test_a_latency_that_is_planned_comes_together_with_chance(faults: Faults) -> None:
    faults.latency(10)
    all_of_them = broken(faults)

    assert min(one.late_s for one in all_of_them) == 10
    assert max(one.late_s for one in all_of_them) > 10
    assert any(fails(one) for one in all_of_them)


def test_what_chance_breaks_has_not_fired_and_is_not_idle(faults: Faults) -> None:
    broken(faults)

    assert faults.fired == ()
    assert faults.idle() == []


def test_what_chance_has_broken_is_told_with_time_and_request(faulty: Faulty, faults: Faults) -> None:
    faulty.clock.advance(50)
    all_of_them = broken(faults)

    assert len(faults.chaotic) == sum(one != Broken() for one in all_of_them)
    assert {line.partition(" at ")[0] for line in faults.chaotic} == NAMES
    told = re.compile(rf"\w+ at 5[01]\.\d s: GET {re.escape(GOOD.target)}")
    assert [line for line in faults.chaotic if not told.fullmatch(line)] == []


def test_clear_leaves_chance_alone(faults: Faults) -> None:
    faults.clear()

    assert any(fails(one) for one in broken(faults))
