"""Threads that sleep: time goes on once for all of them, to each moment in its order."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_imds import ImdsServer
from pytest_imds.clock import Clock
from tests.virtual.machine import Machine, Stopwatch, in_threads


def test_two_threads_that_sleep_at_once_move_time_once(clock: Clock) -> None:
    with Stopwatch() as watch:
        in_threads(lambda: time.sleep(10), lambda: time.sleep(10))

    assert 10 <= watch.virtual_s < 11
    assert watch.real_s < 2


def test_sleepers_wake_in_the_order_of_their_ends(clock: Clock) -> None:
    began, woken = time.monotonic(), []

    def sleep(length: float) -> None:
        time.sleep(length)
        woken.append((length, round(time.monotonic() - began)))

    in_threads(lambda: sleep(30), lambda: sleep(10), lambda: sleep(20))

    assert woken == [(10, 10), (20, 20), (30, 30)]


def test_a_moment_within_a_sleep_comes_at_its_time_and_before_the_sleeper_goes_on(clock: Clock) -> None:
    began, seen = time.monotonic(), []

    def often() -> None:
        for _ in range(3):
            time.sleep(10)
            seen.append(round(time.monotonic() - began))

    def once() -> None:
        time.sleep(25)
        seen.append(-1)

    in_threads(once, often)

    assert seen == [10, 20, -1, 30]


def test_whoever_is_woken_may_work_before_time_goes_on(clock: Clock) -> None:
    """Work is no wait: the second sleeper's end must not come before the first has done its own."""
    began, told = time.monotonic(), []

    def work() -> None:
        time.sleep(1)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 50_000)  # C code that shows no progress
        sum(number for number in range(200_000))
        told.append(time.monotonic() - began)

    in_threads(work, lambda: time.sleep(1000))

    assert 1 <= told[0] < 10


def test_work_that_takes_real_time_does_not_time_out(clock: Clock, pool: ThreadPoolExecutor) -> None:
    def work() -> int:
        until = Machine.perf_counter() + 0.05
        rounds = 0
        while Machine.perf_counter() < until:
            rounds += 1
        return rounds

    with Stopwatch() as watch:
        assert pool.submit(work).result(timeout=5) > 0
    assert watch.virtual_s < 1


@pytest.fixture
def without_a_pool(imds_server: ImdsServer) -> None:
    """End the threads that earlier tests' clients have left waiting for more: every look takes longer by each."""
    imds_server.stop()


@pytest.mark.parametrize("seed", range(2))
def test_many_who_wait_end_in_the_order_of_their_deadlines(without_a_pool: None, clock: Clock, seed: int) -> None:
    choice, ended = random.Random(seed), []
    event: threading.Event = threading.Event()
    ways: list[Callable[[float], object]] = [time.sleep, event.wait, clock.sleep]

    def wait_until(deadline: float, way: Callable[[float], object]) -> None:
        way(deadline - time.monotonic())
        ended.append(deadline)

    began = time.monotonic() + 1000
    # No two are closer than what the machine takes to wake a thread.
    deadlines = [began + number for number in choice.sample(range(10_000), 100)]
    waits = [(deadline, choice.choice(ways)) for deadline in deadlines]
    in_threads(*(lambda given=given: wait_until(*given) for given in waits))

    assert ended == sorted(deadlines)
    assert max(deadlines) <= time.monotonic() < max(deadlines) + 5
