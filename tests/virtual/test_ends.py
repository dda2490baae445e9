"""What is left of virtual time in threads when it is over: nothing."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from pytest_imds.clock import Clock
from pytest_imds.virtual import VirtualTime
from tests.virtual.machine import LONG_S, Machine, Nobody, Stopwatch


def test_what_is_waited_for_when_virtual_time_ends_is_waited_for_really() -> None:
    ended: list[float] = []
    condition, awaited, joined = threading.Condition(), threading.Event(), threading.Event()

    def sleeps() -> None:
        time.sleep(0.6)
        ended.append(Machine.perf_counter())

    def waits() -> None:
        with condition:
            condition.wait(0.6)
        ended.append(Machine.perf_counter())

    def is_notified() -> None:
        awaited.wait(3600)
        ended.append(Machine.perf_counter())

    def joins() -> None:
        threads[0].join(0.6)
        joined.set()

    with VirtualTime(Clock(), Nobody()):
        threads = [threading.Thread(target=target, daemon=True) for target in (sleeps, waits, is_notified, joins)]
        for thread in threads:
            thread.start()
        until = Machine.perf_counter() + 0.05
        while Machine.perf_counter() < until:  # the test computes: time does not go on by itself
            pass
    over = Machine.perf_counter()
    awaited.set()
    for thread in threads:
        thread.join(LONG_S)

    notified, first, second = sorted(ended)
    assert notified - over < 0.45
    assert 0.4 < first - over <= second - over < 3
    assert joined.is_set()


def test_a_daemon_that_sleeps_on_hinders_nobody() -> None:
    def sleep_on() -> None:
        begun.set()
        time.sleep(3600)

    begun = threading.Event()
    with VirtualTime(Clock(), Nobody()):
        threading.Thread(target=sleep_on, daemon=True).start()
        begun.wait()
    with VirtualTime(Clock(), Nobody()), Stopwatch() as watch:
        time.sleep(70)
    assert 70 <= watch.virtual_s < 71
    assert watch.real_s < 1


def test_nothing_of_threading_stays_patched() -> None:
    before = threading.Condition.wait, threading.Thread.join
    with VirtualTime(Clock(), Nobody()):
        assert threading.Condition.wait is not before[0]
        assert threading.Thread.join is not before[1]
    assert (threading.Condition.wait, threading.Thread.join) == before


def test_what_is_patched_on_top_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    before = threading.Condition.wait

    def theirs(*_: object) -> bool:
        return False

    with VirtualTime(Clock(), Nobody()):
        ours = threading.Condition.wait
        monkeypatch.setattr(threading.Condition, "wait", theirs)
    assert threading.Condition.wait is theirs

    # What they put back does no harm.
    monkeypatch.undo()
    assert threading.Condition.wait is ours
    with Stopwatch() as watch:
        assert threading.Event().wait(0.01) is False
    assert watch.real_s >= 0.01
    threading.Condition.wait = before  # type: ignore[method-assign]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such timers")
def test_a_signal_handler_may_sleep_too(clock: Clock) -> None:
    told: list[float] = []

    def handle(*_: object) -> None:
        time.sleep(1000)
        told.append(time.monotonic())

    def compute() -> None:  # so that time does not go on before the signal comes
        while not told and Machine.perf_counter() < until:
            pass

    until = Machine.perf_counter() + 0.1
    began = time.monotonic()
    computing = threading.Thread(target=compute)
    computing.start()
    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        time.sleep(10)
    finally:
        signal.signal(signal.SIGALRM, before)
    computing.join()
    assert len(told) == 1
    assert 1000 <= told[0] - began < 1001
    assert time.monotonic() - began < 1001


def test_no_thread_is_started() -> None:
    before = {*threading.enumerate()}
    with VirtualTime(Clock(), Nobody()):
        time.sleep(70)
        assert {*threading.enumerate()} <= before  # one of an earlier test may end meanwhile
