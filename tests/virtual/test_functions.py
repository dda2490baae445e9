"""The functions of ``time`` tell virtual time, wherever a module has them, and the machine's before and after."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import _pytest.timing
import pytest

from pytest_imds import ImdsUsageError
from pytest_imds.clock import Clock
from pytest_imds.virtual import VirtualTime
from tests.virtual.machine import Machine, Nobody, Stopwatch

NAMES = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep")
TELLING = NAMES[:-1]
Load = Callable[[str], ModuleType]


def seconds(name: str) -> float:
    told: float = getattr(time, name)()
    return told / 1e9 if name.endswith("_ns") else told


def functions_of_time() -> dict[tuple[str, str], object]:
    """Every global of every module that has to do with time, by its module and its name."""
    return {
        (module, name): value
        for module, loaded in sys.modules.items()
        for name, value in list(getattr(loaded, "__dict__", {}).items())
        if getattr(value, "__name__", "") in NAMES and callable(value)
    }


@pytest.mark.parametrize("name", TELLING)
def test_every_function_tells_the_time_that_was_moved_on(clock: Clock, name: str) -> None:
    before = seconds(name)
    clock.advance(1000)

    assert seconds(name) - before == pytest.approx(1000, abs=0.5)


@pytest.mark.parametrize("name", TELLING)
def test_every_function_tells_of_a_sleep(clock: Clock, name: str) -> None:
    before = seconds(name)
    time.sleep(70)

    assert 70 <= seconds(name) - before < 70.5


def test_the_clock_and_time_tell_the_same(clock: Clock) -> None:
    time.sleep(1000)

    assert clock.time() == pytest.approx(time.time(), abs=0.05)
    assert clock.monotonic() == pytest.approx(time.monotonic(), abs=0.05)
    assert clock.now.timestamp() == pytest.approx(time.time(), abs=0.05)


def test_time_goes_on_as_ever_between_the_sleeps(clock: Clock) -> None:
    before = time.monotonic()
    Machine.sleep(0.01)

    assert 0.01 <= time.monotonic() - before < 0.5


@pytest.mark.parametrize("name", ["time", "monotonic", "perf_counter"])
def test_a_twin_tells_the_same_in_nanoseconds(clock: Clock, name: str) -> None:
    time.sleep(1000)
    told, in_ns = getattr(time, name)(), getattr(time, f"{name}_ns")()

    assert isinstance(in_ns, int)
    assert in_ns / 1e9 == pytest.approx(told, abs=0.05)


def test_a_sleep_takes_no_real_time(clock: Clock) -> None:
    with Stopwatch() as watch:
        for _ in range(70):
            time.sleep(60)

    assert 4200 <= watch.virtual_s < 4201
    assert watch.real_s < 1


def test_a_sleep_never_ends_early(clock: Clock) -> None:
    for length in (1e-7, 1e-3, 1 / 3, 1, 86400, 1e9):
        until = time.monotonic() + length
        time.sleep(length)
        assert time.monotonic() >= until


def test_a_module_that_has_the_functions_by_name_is_in_the_same_time(load: Load) -> None:
    module = load("from time import monotonic, sleep as snooze, time as now")
    with VirtualTime(Clock(), Nobody()):
        before = module.monotonic(), module.now(), time.monotonic()
        module.snooze(70)
        after = module.monotonic(), module.now(), time.monotonic()

    assert [round(late - early) for early, late in zip(before, after, strict=True)] == [70, 70, 70]


def test_a_module_that_is_imported_meanwhile_is_in_the_same_time_and_restored(load: Load) -> None:
    with VirtualTime(Clock(), Nobody()):
        module = load("from time import monotonic, sleep as snooze")
        before = time.monotonic()
        module.snooze(70)
        assert module.monotonic() - before >= 70

    assert (module.monotonic, module.snooze) == (time.monotonic, Machine.sleep)


def test_a_name_that_is_bound_meanwhile_is_restored(load: Load) -> None:
    module = load("first = 1")
    with VirtualTime(Clock(), Nobody()):
        exec("from time import monotonic as later", module.__dict__)
    assert module.later is time.monotonic


def test_a_function_that_was_replaced_at_first_is_found_when_it_is_there_again(load: Load) -> None:
    module = load("from time import sleep")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "sleep", print)
        with VirtualTime(Clock(), Nobody()):
            assert module.sleep is print

    with VirtualTime(Clock(), Nobody()), Stopwatch() as watch:
        module.sleep(70)
    assert watch.real_s < 1


def test_a_function_that_was_kept_meanwhile_is_the_machines_later() -> None:
    with VirtualTime(Clock(), Nobody()):

        def kept(
            now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
        ) -> tuple[float, float]:
            before = now()
            sleep(0.01)
            return before, now()

        before, after = kept()
        assert after - before >= 0.01
        time.sleep(1000)

    with Stopwatch() as watch:
        before, after = kept()
    assert before == pytest.approx(time.monotonic(), abs=1)
    assert watch.real_s >= 0.01


def test_pytest_keeps_the_machines_time(clock: Clock) -> None:
    before = _pytest.timing.perf_counter()
    time.sleep(1000)

    assert _pytest.timing.sleep is Machine.sleep
    assert _pytest.timing.perf_counter() - before < 10


def test_everything_is_as_it_was() -> None:
    before = functions_of_time()
    with VirtualTime(Clock(), Nobody()):
        time.sleep(1)
        during = functions_of_time()

    assert functions_of_time() == before
    assert ("threading", "_time") in {key for key in before if during[key] is not before[key]}


def test_everything_is_as_it_was_after_a_failure() -> None:
    before = functions_of_time()
    with pytest.raises(ZeroDivisionError), VirtualTime(Clock(), Nobody()):
        1 / 0  # noqa: B018

    assert functions_of_time() == before
    with Stopwatch() as watch:
        time.sleep(0.01)
    assert watch.real_s >= 0.01


def test_the_clock_keeps_what_it_gained(clock: Clock) -> None:
    own = Clock()
    own.advance(1000)  # before its time is virtual, which another's is here
    assert own.time() - time.time() == pytest.approx(1000, abs=0.5)


def test_a_clock_that_was_ahead_goes_on_from_there() -> None:
    clock = Clock()
    clock.advance(1000)
    before = time.time()
    with VirtualTime(clock, Nobody()):
        assert time.time() - before == pytest.approx(1000, abs=0.5)
        time.sleep(70)
    assert clock.time() - time.time() == pytest.approx(1070, abs=0.5)
    assert time.time() - before < 10


def test_what_was_in_the_place_of_time_is_the_machines_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    frozen = time.time
    clock = Clock()
    with VirtualTime(clock, Nobody()):
        assert time.time() == 1000
        time.sleep(70)
        assert time.time() == clock.time()
        assert 1069.9 < time.time() <= 1070.1  # what the sleep took really did not move it
    assert time.time is frozen


def test_what_is_put_on_top_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    with VirtualTime(Clock(), Nobody()):
        ours = time.sleep
        monkeypatch.setattr(time, "sleep", print)
    assert time.sleep is print

    # Whoever put it there puts ours back, which does no harm then.
    monkeypatch.undo()
    assert time.sleep is ours
    with Stopwatch() as watch:
        time.sleep(0.01)
    assert watch.real_s >= 0.01
    with VirtualTime(Clock(), Nobody()), Stopwatch() as watch:
        time.sleep(70)
    assert watch.real_s < 1
    assert time.sleep is Machine.sleep


@pytest.mark.parametrize("wrong", [-1, -0.5, float("nan"), float("inf"), 1e10, "1", None, [1], 1j], ids=repr)
def test_what_cannot_be_slept_is_refused_as_ever(clock: Clock, wrong: Any) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)) as really:
        Machine.sleep(wrong)
    before = time.monotonic()

    for sleep in (time.sleep, clock.sleep):
        with pytest.raises(really.type) as refused:
            sleep(wrong)
        assert str(refused.value) == str(really.value)
    assert time.monotonic() - before < 1


@pytest.mark.parametrize("nothing", [0, 0.0, False], ids=repr)
def test_no_time_is_slept_in_no_time(clock: Clock, nothing: float) -> None:
    before = time.monotonic()
    time.sleep(nothing)
    assert time.monotonic() - before < 0.5


def test_only_one_time_is_virtual_at_once(clock: Clock) -> None:
    other = VirtualTime(Clock(), Nobody())
    with pytest.raises(ImdsUsageError, match="virtual"):
        other.start()
    other.stop()

    with Stopwatch() as watch:
        time.sleep(70)
    assert watch.virtual_s >= 70
    assert watch.real_s < 1


def test_the_same_time_can_be_made_virtual_again() -> None:
    clock = Clock()
    virtual = VirtualTime(clock, Nobody())
    for _ in range(2):
        with virtual, Stopwatch() as watch:
            time.sleep(70)
        assert watch.real_s < 1
    assert clock.time() - time.time() == pytest.approx(140, abs=0.5)


def test_another_clock_without_a_time_of_its_own_keeps_the_virtual_time(clock: Clock) -> None:
    other = Clock()
    before = other.time()
    time.sleep(70)
    assert other.time() - before >= 70
