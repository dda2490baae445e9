"""Which requests a fault breaks, and when; what a server knows of its faults."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_imds import Fault, Faults, ImdsUsageError
from pytest_imds.service.message import Request
from tests.faulty import INSTANCE, Faulty


@pytest.fixture
def faulty() -> Faulty:
    return Faulty()


@pytest.fixture
def faults(faulty: Faulty) -> Faults:
    return faulty.faults


def test_without_faults_nothing_is_broken(faulty: Faulty, faults: Faults) -> None:
    assert faulty.play(3) == ["", "", ""]
    assert not faults.planned
    assert faults.fired == ()
    assert faults.idle() == []


def test_a_fault_without_terms_breaks_every_request(faulty: Faulty, faults: Faults) -> None:
    faults.server_error()

    assert faulty.play_later(0, 0, 86400) == ["server_error"] * 3
    assert faults.planned


def test_after_lets_the_first_requests_through(faulty: Faulty, faults: Faults) -> None:
    faults.server_error(after=2)

    assert faulty.play(4) == ["", "", "server_error", "server_error"]


def test_after_counts_the_requests_to_its_path(faulty: Faulty, faults: Faults) -> None:
    faults.server_error(after=1, path="/metadata/identity/*")
    faulty.play(5)

    assert faulty.play(2, "/metadata/identity/info") == ["", "server_error"]


def test_times_is_how_many_requests_are_broken(faulty: Faulty, faults: Faults) -> None:
    faults.server_error(after=1, times=2)

    assert faulty.play(5) == ["", "server_error", "server_error", "", ""]


def test_throttled_takes_requests_for_times(faulty: Faulty, faults: Faults) -> None:
    faults.throttled(requests=2)

    assert faulty.play(3) == ["throttled", "throttled", ""]


def test_a_window_begins_with_the_first_request_that_is_broken(faulty: Faulty, faults: Faults) -> None:
    faults.server_error(window=30, after=1)

    assert faulty.play_later(100, 100, 28, 2) == ["", "server_error", "server_error", ""]


def test_gone_lasts_70_seconds(faulty: Faulty, faults: Faults) -> None:
    faults.gone()

    assert faulty.play_later(0, 68, 2) == ["gone", "gone", ""]


def test_a_window_ends_what_times_has_not_used_up(faulty: Faulty, faults: Faults) -> None:
    faults.server_error(window=10, times=2)

    assert faulty.play_later(0, 10) == ["server_error", ""]


def test_times_ends_a_window_early(faulty: Faulty, faults: Faults) -> None:
    faults.server_error(window=10, times=2)

    assert faulty.play(3) == ["server_error", "server_error", ""]


def chance(seed: str, count: int) -> list[str]:
    faulty = Faulty(seed)
    faulty.faults.server_error(probability=0.25)
    return faulty.play(count)


def test_probability_is_how_likely_a_request_is_broken() -> None:
    assert 60 <= chance("seed", 400).count("server_error") <= 140


def test_chance_comes_from_the_seed() -> None:
    assert chance("one", 60) == chance("one", 60) != chance("other", 60)


def test_each_fault_has_a_chance_of_its_own(faulty: Faulty, faults: Faults) -> None:
    faults.not_found(probability=0.5, path="/metadata/identity/*")
    faults.not_found(probability=0.5, path="/metadata/instance*")

    assert faulty.play(60, "/metadata/identity/info") != faulty.play(60)


def test_times_counts_what_chance_has_broken(faulty: Faulty, faults: Faults) -> None:
    faults.server_error(probability=0.25, times=3)

    assert faulty.play(100).count("server_error") == 3


@pytest.mark.parametrize(
    "path",
    [
        "/metadata",
        "/metadata/",
        "/metadata/instance/compute/name",
        "/metadata/nothing",
        # The service answers these two as it does /metadata/instance.
        "/Metadata/instance",
        "//metadata/instance",
    ],
)
def test_a_fault_breaks_whatever_is_under_metadata(faulty: Faulty, faults: Faults, path: str) -> None:
    faults.server_error()

    assert faulty.play(1, path) == ["server_error"]


@pytest.mark.parametrize("path", ["/", "/elsewhere", "/elsewhere/metadata", "/metadatafoo"])
def test_a_fault_leaves_alone_what_is_not_under_metadata(faulty: Faulty, faults: Faults, path: str) -> None:
    faults.server_error()

    assert faulty.play(1, path) == [""]


@pytest.mark.parametrize(
    ("glob", "path", "broken"),
    [
        ("*", "/elsewhere", True),
        ("/metadata/instance", "//Metadata/instance/", True),
        ("/metadata/identity/*", "/metadata/identity/oauth2/token", True),
        ("/metadata/identity/*", "/metadata/identity", False),
        ("/metadata/instance", "/metadata/instance/compute", False),
        ("/metadata/i[dn]*", "/metadata/info", True),
        ("*/token", "/metadata/identity/oauth2/token", True),
    ],
)
def test_a_path_is_a_glob(faulty: Faulty, faults: Faults, glob: str, path: str, broken: bool) -> None:
    faults.server_error(path=glob)

    assert faulty.play(1, path) == ["server_error" if broken else ""]


def test_the_query_is_no_part_of_the_path(faulty: Faulty, faults: Faults) -> None:
    faults.server_error(path=INSTANCE)

    assert faulty.play(1, query="api-version=2021-02-01") == ["server_error"]


def test_fired_tells_the_fault_the_request_and_the_time(faulty: Faulty, faults: Faults) -> None:
    faulty.clock.advance(50)
    faults.gone(times=1)
    faults.server_error()
    faulty.play(1, query="api-version=2021-02-01")
    faulty.play_later(12)

    first, second = faults.fired
    assert (first.fault, first.request) == ("gone", f"GET {INSTANCE}?api-version=2021-02-01")
    assert (second.fault, second.request) == ("server_error", f"GET {INSTANCE}")
    assert 50 <= first.at_s < 52
    assert 62 <= second.at_s < 64


def test_what_has_fired_is_not_changed_by_what_fires_later(faulty: Faulty, faults: Faults) -> None:
    faults.server_error()
    fired = faults.fired
    faulty.play()

    assert (len(fired), len(faults.fired)) == (0, 1)


def test_a_fault_that_has_broken_nothing_is_idle(faulty: Faulty, faults: Faults) -> None:
    faults.gone(path="/metadata/identity/*", after=2)
    faults.server_error(503)
    faulty.play()

    assert faults.idle() == ["gone(window=70, path='/metadata/identity/*', after=2)"]


def test_a_fault_that_need_not_fire_is_not_idle(faults: Faults) -> None:
    faults.gone(required=False)

    assert faults.idle() == []


def test_clear_ends_all_faults(faulty: Faulty, faults: Faults) -> None:
    faults.server_error()
    faults.sequence(Fault("gone"), Fault("not_found"))
    faults.clear()

    assert faulty.play(2) == ["", ""]
    assert not faults.planned


def test_a_fault_that_is_planned_after_clear_breaks(faulty: Faulty, faults: Faults) -> None:
    faults.server_error()
    faults.clear()
    faults.not_found()

    assert faulty.play() == ["not_found"]


def test_a_fault_that_was_cleared_before_it_fired_is_idle(faulty: Faulty, faults: Faults) -> None:
    faults.not_found(times=1)
    faults.server_error()
    faulty.play()
    faults.clear()

    assert faults.idle() == ["server_error(status=500)"]


def test_whoever_carries_faults_out_is_told_of_each_change(faulty: Faulty, faults: Faults) -> None:
    faults.gone()
    faults.sequence(Fault("gone"), Fault("not_found"))
    faults.clear()

    assert faulty.changes == 3


def test_of_several_faults_the_one_planned_first_breaks_and_the_others_wait(faulty: Faulty, faults: Faults) -> None:
    faults.gone(times=2)
    faults.server_error(times=2)
    faults.not_found()

    assert faulty.play(6) == ["gone", "gone", "server_error", "server_error", "not_found", "not_found"]


def test_a_fault_that_waits_counts_no_requests(faulty: Faulty, faults: Faults) -> None:
    faults.gone(times=2)
    faults.server_error(after=1)

    assert faulty.play(4) == ["gone", "gone", "", "server_error"]


def test_a_request_that_one_fault_lets_through_is_left_to_the_next(faulty: Faulty, faults: Faults) -> None:
    faults.gone(after=1)
    faults.server_error()

    assert faulty.play(2) == ["server_error", "gone"]


def test_latency_goes_together_with_another_fault_in_either_order(faulty: Faulty, faults: Faults) -> None:
    faults.latency(2, times=2)
    faults.gone(after=1)
    faults.latency(1, after=1)

    assert faulty.play(3) == ["latency", "latency+gone+latency", "gone+latency"]


def test_what_latency_and_another_fault_do_both_happens(faults: Faults) -> None:
    faults.latency(2)
    faults.reset()
    faults.latency(0.5)
    broken = faults.breaking(Request("GET", INSTANCE))

    assert broken.late_s == 2.5
    assert broken.writer is not None


def test_jitter_adds_up_to_its_seconds_by_the_seed() -> None:
    def lates(seed: str) -> list[float]:
        faults = Faulty(seed).faults
        faults.latency(1, jitter=0.5)
        return [faults.breaking(Request("GET", INSTANCE)).late_s for _ in range(50)]

    assert 1 <= min(lates("one")) < 1.2 < 1.3 < max(lates("one")) <= 1.5
    assert lates("one") == lates("one") != lates("other")


def test_threads_break_exactly_as_many_as_times(faults: Faults) -> None:
    faults.server_error(after=30, times=50)
    with ThreadPoolExecutor(4) as pool:
        broken = list(pool.map(faults.breaking, [Request("GET", INSTANCE)] * 200))

    assert sum(one.effect is not None for one in broken) == len(faults.fired) == 50


def test_a_fault_that_is_wrong_is_not_planned(faulty: Faulty, faults: Faults) -> None:
    with pytest.raises(ImdsUsageError, match="times cannot be 0"):
        faults.gone(times=0)

    assert (faults.planned, faults.idle(), faulty.changes) == (False, [], 0)
