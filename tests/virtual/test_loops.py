"""Event loops: every timer fires at its time, and I/O comes as it comes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from pytest_imds.clock import Clock
from pytest_imds.virtual import VirtualTime
from tests.virtual.machine import Machine, Nobody, Stopwatch

LONG_S = 20


@pytest.fixture
def loop_elsewhere() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in another thread, since before time is virtual."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(LONG_S)
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(LONG_S)
    loop.close()


async def polls(told: list[int], every: float, count: int = 1000) -> None:
    began = time.monotonic()
    for _ in range(count):
        told.append(round(time.monotonic() - began))
        await asyncio.sleep(every)


def test_a_sleep_takes_no_real_time(clock: Clock) -> None:
    with Stopwatch() as watch:
        asyncio.run(polls([], 1, count=70))
    assert 70 <= watch.virtual_s < 71
    assert watch.real_s < 2


def test_a_deadline_around_waits_comes_at_its_time(clock: Clock) -> None:
    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(polls(told, 10), 25)

    told: list[int] = []
    with Stopwatch() as watch:
        asyncio.run(main())
    assert told == [0, 10, 20]
    assert 25 <= watch.virtual_s < 26


def test_two_tasks_that_sleep_at_once_move_time_once(clock: Clock) -> None:
    async def main() -> None:
        await asyncio.gather(asyncio.sleep(10), asyncio.sleep(10), asyncio.sleep(5))

    with Stopwatch() as watch:
        asyncio.run(main())
    assert 10 <= watch.virtual_s < 11


def test_timers_fire_in_their_order(clock: Clock) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()

        def fire(after: int) -> None:
            fired.append((after, round(loop.time() - began)))

        for after in (30, 10, 20):
            loop.call_later(after, fire, after)
        await asyncio.sleep(40)

    fired: list[tuple[int, int]] = []
    asyncio.run(main())
    assert fired == [(10, 10), (20, 20), (30, 30)]


def test_a_thread_and_a_loop_are_in_one_time(clock: Clock) -> None:
    told: list[int] = []
    began = time.monotonic()

    def sleep() -> None:
        for _ in range(2):
            time.sleep(15)
            told.append(-round(time.monotonic() - began))

    thread = threading.Thread(target=sleep)
    thread.start()
    asyncio.run(polls(told, 10, count=4))
    thread.join()

    assert told == [0, 10, -15, 20, -30, 30] or told == [0, 10, -15, 20, 30, -30]
    assert 40 <= time.monotonic() - began < 41


def test_a_thread_wakes_a_loop_before_time_goes_on(clock: Clock) -> None:
    async def main() -> float:
        began = time.monotonic()
        event, loop = asyncio.Event(), asyncio.get_running_loop()

        def set_and_sleep() -> None:
            time.sleep(10)
            loop.call_soon_threadsafe(event.set)
            time.sleep(1000)

        threading.Thread(target=set_and_sleep, daemon=True).start()
        await asyncio.wait_for(event.wait(), 500)
        return time.monotonic() - began

    for _ in range(5):
        assert 10 <= asyncio.run(main()) < 11


def test_work_in_an_executor_does_not_time_out(clock: Clock) -> None:
    def work() -> None:
        until = Machine.perf_counter() + 0.05
        while Machine.perf_counter() < until:
            pass

    async def main() -> None:
        await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(None, work), 5)

    with Stopwatch() as watch:
        asyncio.run(main())
    assert watch.virtual_s < 1


def test_a_sleep_in_an_executor_times_out_at_its_time(clock: Clock) -> None:
    async def main() -> None:
        began = time.monotonic()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(None, time.sleep, 70), 25)
        told.append(round(time.monotonic() - began))

    told: list[int] = []
    asyncio.run(main())
    assert told == [25]


def test_both_ends_of_a_connection_in_one_loop_wait_for_time_alone(clock: Clock) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            await asyncio.sleep(10)
            writer.write(line)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for _ in range(3):
            writer.write(b"question\n")
            assert await asyncio.wait_for(reader.readline(), 15) == b"question\n"
        writer.write(b"question\n")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        await writer.wait_closed()
        server.close()
        await asyncio.sleep(10)

    with Stopwatch() as watch:
        asyncio.run(main())
    assert 45 <= watch.virtual_s < 46
    assert watch.real_s < 1


def test_a_loop_that_runs_already_is_in_the_same_time() -> None:
    async def main() -> None:
        select = asyncio.get_running_loop()._selector.select  # type: ignore[attr-defined]
        clock = Clock()
        clock.advance(1000)
        timer = asyncio.create_task(asyncio.sleep(0.3))
        await asyncio.sleep(0)
        with VirtualTime(clock, Nobody()), Stopwatch() as watch:
            await asyncio.sleep(0.1)
            assert not timer.done()
            await asyncio.sleep(70)
            assert timer.done()
            rest = asyncio.create_task(asyncio.sleep(0.2))
            await asyncio.sleep(0)
        assert watch.real_s < 1
        assert asyncio.get_running_loop()._selector.select == select  # type: ignore[attr-defined]
        # Its timers are due as much later as they were, in the machine's time.
        with Stopwatch() as watch:
            await rest
        assert 0.1 < watch.real_s < 3

    asyncio.run(main())


def test_a_loop_that_runs_already_elsewhere_is_in_the_same_time(loop_elsewhere: asyncio.AbstractEventLoop) -> None:
    with VirtualTime(Clock(), Nobody()), Stopwatch() as watch:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(70), loop_elsewhere).result(100)
    assert 70 <= watch.virtual_s < 71
    assert watch.real_s < 1


def test_what_a_loop_waits_for_when_virtual_time_ends_is_waited_for_really(
    loop_elsewhere: asyncio.AbstractEventLoop,
) -> None:
    with VirtualTime(Clock(), Nobody()):
        time.sleep(70)
        future = asyncio.run_coroutine_threadsafe(asyncio.sleep(0.2), loop_elsewhere)
        until = Machine.perf_counter() + 0.05
        while Machine.perf_counter() < until:  # the test computes: time does not go on by itself
            pass
    with Stopwatch() as watch:
        future.result(LONG_S)
    assert 0.05 < watch.real_s < 3


def test_a_loop_that_is_run_again_later_has_its_timers_in_the_machines_time() -> None:
    loop = asyncio.new_event_loop()
    with VirtualTime(Clock(), Nobody()):
        loop.run_until_complete(asyncio.sleep(1000))
        left = loop.create_task(asyncio.sleep(0.1))
        loop.run_until_complete(asyncio.sleep(0))
    with Stopwatch() as watch:
        loop.run_until_complete(left)
    loop.close()
    assert 0.05 < watch.real_s < 3


def test_nothing_of_asyncio_stays_patched() -> None:
    async def main() -> None:
        await asyncio.sleep(10)

    before = asyncio.BaseEventLoop.run_forever
    loop = asyncio.new_event_loop()
    with VirtualTime(Clock(), Nobody()):
        assert asyncio.BaseEventLoop.run_forever is not before
        loop.run_until_complete(main())
        assert "select" not in vars(loop._selector)  # type: ignore[attr-defined]
    loop.close()
    assert asyncio.BaseEventLoop.run_forever is before


def test_a_select_that_somebody_had_put_there_is_used_and_put_back(clock: Clock) -> None:
    loop = asyncio.new_event_loop()
    theirs = loop._selector.select  # type: ignore[attr-defined]
    asked: list[float | None] = []

    def counted(timeout: float | None = None) -> object:
        asked.append(timeout)
        return theirs(timeout)

    loop._selector.select = counted  # type: ignore[attr-defined]
    loop.run_until_complete(asyncio.sleep(70))
    assert asked
    assert loop._selector.select is counted  # type: ignore[attr-defined]
    loop.close()


@pytest.mark.parametrize("fails", [False, True])
def test_a_blocking_sleep_in_a_loop_is_as_long_as_ever(clock: Clock, fails: bool) -> None:
    async def main(wait: Callable[[], Awaitable[None]]) -> None:
        time.sleep(10)
        await wait()
        if fails:
            raise ZeroDivisionError

    with Stopwatch() as watch:
        if fails:
            with pytest.raises(ZeroDivisionError):
                asyncio.run(main(lambda: asyncio.sleep(10)))
        else:
            asyncio.run(main(lambda: asyncio.sleep(10)))
    assert 20 <= watch.virtual_s < 21
