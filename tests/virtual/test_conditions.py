"""Threads that wait for others, with a time-out: until it is over, or until what they wait for comes."""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as FutureTimeoutError

import pytest

from pytest_imds.clock import Clock
from tests.virtual.machine import LONG_S, Stopwatch, in_threads


def test_a_result_is_waited_for_until_its_deadline(clock: Clock, pool: ThreadPoolExecutor) -> None:
    began = time.monotonic()
    late = pool.submit(time.sleep, 70)
    with pytest.raises((TimeoutError, FutureTimeoutError)):
        late.result(timeout=25)
    assert 25 <= time.monotonic() - began < 26

    late.result(timeout=60)
    assert 70 <= time.monotonic() - began < 71


def test_a_result_that_comes_in_time_is_had_at_once(clock: Clock, pool: ThreadPoolExecutor) -> None:
    with Stopwatch() as watch:
        assert pool.submit(pow, 2, 3).result(timeout=25) == 8
    assert watch.virtual_s < 1


def test_several_results_are_waited_for_together(clock: Clock, pool: ThreadPoolExecutor) -> None:
    futures = [pool.submit(time.sleep, length) for length in (10, 20, 40)]
    done, left = wait(futures, timeout=30)
    assert (len(done), len(left)) == (2, 1)


def test_an_event_that_is_set_ends_the_wait_at_that_moment(clock: Clock) -> None:
    began, stop, told = time.monotonic(), threading.Event(), []

    def poll() -> None:
        while not stop.wait(10):
            told.append(round(time.monotonic() - began))

    def end() -> None:
        time.sleep(35)
        stop.set()

    in_threads(poll, end)

    assert told == [10, 20, 30]
    assert 35 <= time.monotonic() - began < 36


def test_an_event_that_nobody_sets_is_waited_for_in_vain(clock: Clock) -> None:
    with Stopwatch() as watch:
        assert threading.Event().wait(70) is False
    assert 70 <= watch.virtual_s < 71
    assert watch.real_s < 1


def test_a_queue_that_stays_empty_is_waited_for_in_vain(clock: Clock) -> None:
    empty: queue.Queue[int] = queue.Queue()
    with Stopwatch() as watch, pytest.raises(queue.Empty):
        empty.get(timeout=70)
    assert 70 <= watch.virtual_s < 71


def test_what_is_put_into_a_queue_comes_at_its_time(clock: Clock) -> None:
    shared: queue.Queue[float] = queue.Queue()
    began = time.monotonic()

    def produce() -> None:
        for number in range(3):
            time.sleep(10)
            shared.put(number)

    got: list[tuple[float, int]] = []
    in_threads(produce, lambda: got.extend((shared.get(timeout=15), round(time.monotonic() - began)) for _ in range(3)))
    assert got == [(0, 10), (1, 20), (2, 30)]


def test_no_notification_is_lost_and_none_wakes_two(clock: Clock) -> None:
    condition, done = threading.Condition(), []

    def consume() -> None:
        with condition:
            done.append(condition.wait(10_000))

    threads = [threading.Thread(target=consume, daemon=True) for _ in range(20)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    for count in range(1, 21):
        with condition:
            condition.notify()
        time.sleep(1)
        assert done == [True] * count
    assert list(condition._waiters) == []  # type: ignore[attr-defined]


def test_a_wait_in_vain_leaves_nothing_in_the_condition(clock: Clock) -> None:
    condition = threading.Condition()
    with condition:
        assert condition.wait(70) is False
        assert condition.wait_for(lambda: False, timeout=70) is False
    assert list(condition._waiters) == []  # type: ignore[attr-defined]


def test_a_condition_must_be_held_as_ever(clock: Clock) -> None:
    with pytest.raises(RuntimeError, match="un-acquired lock"):
        threading.Condition().wait(1)


def test_a_thread_is_joined_until_the_deadline(clock: Clock) -> None:
    thread = threading.Thread(target=time.sleep, args=(70,), daemon=True)
    thread.start()
    with Stopwatch() as watch:
        thread.join(timeout=25)
    assert thread.is_alive()
    assert 25 <= watch.virtual_s < 26

    with Stopwatch() as watch:
        thread.join(timeout=1000)
    assert not thread.is_alive()
    assert 44.9 < watch.virtual_s < 46


def test_what_cannot_be_joined_is_refused_as_ever(clock: Clock) -> None:
    with pytest.raises(RuntimeError):
        threading.Thread().join(1)
    with pytest.raises(RuntimeError):
        threading.current_thread().join(1)


def test_a_timer_fires_at_its_time(clock: Clock) -> None:
    began, fired = time.monotonic(), []
    timer = threading.Timer(30, lambda: fired.append(round(time.monotonic() - began)))
    timer.start()
    time.sleep(70)
    timer.join()

    assert fired == [30]


def test_a_watchdog_bounds_the_sleep_of_the_test(clock: Clock) -> None:
    began, told, over = time.monotonic(), [], threading.Event()

    def watch() -> None:
        while not over.wait(10):
            told.append(round(time.monotonic() - began))

    watchdog = threading.Thread(target=watch, daemon=True)
    watchdog.start()
    time.sleep(35)
    over.set()
    watchdog.join()

    assert told == [10, 20, 30]


def test_a_watchdog_does_not_make_time_go_on_by_itself(clock: Clock) -> None:
    """The test may do what nobody can see: here it waits in C code."""
    told, over, blocked = [], threading.Event(), threading.Lock()

    def watch() -> None:
        while not over.wait(10):
            told.append(time.monotonic())

    watchdog = threading.Thread(target=watch, daemon=True)
    watchdog.start()
    blocked.acquire()
    with Stopwatch() as watch_it:
        blocked.acquire(timeout=0.05)
    over.set()
    watchdog.join()

    assert told == []
    assert watch_it.virtual_s < 1


def test_advance_wakes_whoever_waited_for_less(clock: Clock) -> None:
    """Time does not go on by itself here: the test is in C code."""
    over, woken, blocked = threading.Event(), threading.Event(), threading.Lock()

    def watch() -> None:
        over.wait(100)
        woken.set()

    watchdog = threading.Thread(target=watch, daemon=True)
    watchdog.start()
    blocked.acquire()
    blocked.acquire(timeout=0.02)
    assert not woken.is_set()
    clock.advance(101)
    blocked.acquire(timeout=0.02)
    watchdog.join(LONG_S)
    assert woken.is_set()
