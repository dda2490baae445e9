"""Replies that a server holds back: time goes on to them where the client would wait as long."""

from __future__ import annotations

import asyncio
import http.client
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from pytest_imds import Clock, Faults, ImdsServer
from tests.virtual.machine import Stopwatch

aiohttp = pytest.importorskip("aiohttp")
httpx = pytest.importorskip("httpx")
requests = pytest.importorskip("requests")

HEADERS = {"Metadata": "true"}
PATH = "/metadata/versions"


def get_http_client(url: str, timeout: float | None) -> int:
    with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=timeout)) as connection:
        connection.request("GET", PATH, headers=HEADERS)
        reply = connection.getresponse()
        reply.read()
        return reply.status


def get_requests(url: str, timeout: float | None) -> int:
    return int(requests.get(url + PATH, headers=HEADERS, timeout=timeout).status_code)


def get_httpx(url: str, timeout: float | None) -> int:
    return int(httpx.get(url + PATH, headers=HEADERS, timeout=timeout, verify=False).status_code)


async def aiohttp_get(url: str, timeout: float | None) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(url + PATH, headers=HEADERS, timeout=aiohttp.ClientTimeout(timeout)) as reply,
    ):
        await reply.read()
        return int(reply.status)


async def httpx_get(url: str, timeout: float | None) -> int:
    async with httpx.AsyncClient(timeout=timeout, verify=False) as client:
        return int((await client.get(url + PATH, headers=HEADERS)).status_code)


def get_aiohttp(url: str, timeout: float | None) -> int:
    return asyncio.run(aiohttp_get(url, timeout))


def get_httpx_async(url: str, timeout: float | None) -> int:
    return asyncio.run(httpx_get(url, timeout))


Get = Callable[[str, float | None], int]
BLOCKING: list[Get] = [get_http_client, get_requests, get_httpx]
LOOPED: list[Get] = [get_aiohttp, get_httpx_async]
GIVES_UP = (TimeoutError, asyncio.TimeoutError, requests.Timeout, httpx.TimeoutException)


@pytest.mark.parametrize("get", BLOCKING + LOOPED)
@pytest.mark.parametrize("timeout", [None, 10])
def test_a_client_that_waits_long_enough_gets_the_reply_at_once(
    imds_server: ImdsServer, imds_faults: Faults, imds_clock: Clock, get: Get, timeout: float | None
) -> None:
    imds_faults.latency(5)
    with Stopwatch() as watch:
        assert get(imds_server.url, timeout) == 200
    assert 5 <= watch.virtual_s < 6
    assert watch.real_s < 2


@pytest.mark.parametrize("get", BLOCKING)
def test_a_blocked_thread_gives_up_when_its_real_time_is_up(
    imds_server: ImdsServer, imds_faults: Faults, imds_clock: Clock, get: Get
) -> None:
    imds_faults.latency(5)
    with Stopwatch() as watch, pytest.raises(GIVES_UP):
        get(imds_server.url, 0.1)
    assert 0.1 <= watch.virtual_s < 2

    with Stopwatch() as watch:  # the reply that nobody waits for any longer hinders nobody
        time.sleep(70)
    assert watch.real_s < 4  # it would come after 5


@pytest.mark.parametrize("get", BLOCKING)
def test_a_blocked_thread_gives_up_although_another_one_sleeps(
    imds_server: ImdsServer, imds_faults: Faults, imds_clock: Clock, get: Get
) -> None:
    imds_faults.latency(5)
    sleeper = threading.Thread(target=time.sleep, args=(70,))
    sleeper.start()
    with Stopwatch() as watch, pytest.raises(GIVES_UP):
        get(imds_server.url, 0.1)
    assert 0.1 <= watch.virtual_s < 2
    sleeper.join()


@pytest.mark.parametrize("get", LOOPED)
def test_a_loop_gives_up_at_its_virtual_time(
    imds_server: ImdsServer, imds_faults: Faults, imds_clock: Clock, get: Get
) -> None:
    imds_faults.latency(50)
    with Stopwatch() as watch, pytest.raises(GIVES_UP):
        get(imds_server.url, 5)
    assert 5 <= watch.virtual_s < 7  # aiohttp rounds the moment up to a whole second

    with Stopwatch() as watch:
        time.sleep(70)
    assert watch.real_s < 1


@pytest.mark.parametrize("get", BLOCKING)
def test_a_reply_that_never_comes_is_waited_for_really(
    imds_server: ImdsServer, imds_faults: Faults, imds_clock: Clock, get: Get
) -> None:
    imds_faults.blackhole()
    sleeper = threading.Thread(target=time.sleep, args=(70,))
    sleeper.start()
    with Stopwatch() as watch, pytest.raises(GIVES_UP):
        get(imds_server.url, 0.1)
    assert 0.1 <= watch.virtual_s < 2
    sleeper.join()


@pytest.mark.parametrize("get", LOOPED)
def test_a_loop_gives_up_on_a_reply_that_never_comes_at_its_virtual_time(
    imds_server: ImdsServer, imds_faults: Faults, imds_clock: Clock, get: Get
) -> None:
    imds_faults.blackhole()
    with Stopwatch() as watch, pytest.raises(GIVES_UP):
        get(imds_server.url, 30)
    assert 30 <= watch.virtual_s < 31
    assert watch.real_s < 2


@pytest.mark.parametrize("get", BLOCKING + LOOPED)
def test_a_reply_that_comes_drop_by_drop_is_received_at_once(
    imds_server: ImdsServer, imds_faults: Faults, imds_clock: Clock, get: Get
) -> None:
    imds_faults.dribble(chunks=5, over=10)
    with Stopwatch() as watch:
        assert get(imds_server.url, 30) == 200
    assert 10 <= watch.virtual_s < 11
    assert watch.real_s < 2


def test_a_child_process_waits_really(imds_server: ImdsServer, imds_faults: Faults, imds_clock: Clock) -> None:
    """What it would do meanwhile, and when it gives up, nobody sees."""
    imds_faults.latency(0.1)
    command = ["curl", "-s", "-H", "Metadata: true", imds_server.url + PATH]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process, Stopwatch() as watch:
        assert process.stdout is not None
        assert process.stdout.read().startswith(b"{")
    assert 0.05 < watch.virtual_s < 3
    assert watch.real_s > 0.05


def test_moments_before_a_reply_come_before_it(imds_server: ImdsServer, imds_faults: Faults, imds_clock: Clock) -> None:
    imds_faults.latency(25)
    began, told = time.monotonic(), []

    def poll() -> None:
        for _ in range(4):
            time.sleep(10)
            told.append(round(time.monotonic() - began))

    poller = threading.Thread(target=poll)
    poller.start()
    get_requests(imds_server.url, None)
    told.append(-round(time.monotonic() - began))
    poller.join()

    assert told == [10, 20, -25, 30, 40]


def test_several_replies_are_held_back_at_once(imds_server: ImdsServer, imds_faults: Faults, imds_clock: Clock) -> None:
    imds_faults.latency(10)

    async def main() -> list[int]:
        return await asyncio.gather(*(aiohttp_get(imds_server.url, 30) for _ in range(5)))

    with Stopwatch() as watch:
        assert asyncio.run(main()) == [200] * 5
    assert 10 <= watch.virtual_s < 12


def test_polling_does_not_wait_for_the_server(imds_server: ImdsServer, imds_clock: Clock) -> None:
    with Stopwatch() as watch, closing(http.client.HTTPConnection("127.0.0.1", imds_server.port)) as connection:
        for _ in range(70):
            connection.request("GET", PATH, headers=HEADERS)
            connection.getresponse().read()
            time.sleep(1)
    assert 70 <= watch.virtual_s < 71
    assert watch.real_s < 2


def test_no_request_in_flight_times_out(imds_server: ImdsServer, imds_clock: Clock) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as session:
            for _ in range(100):
                async with session.get(imds_server.url + PATH, headers=HEADERS) as reply:
                    assert reply.status == 200

    with Stopwatch() as watch:
        asyncio.run(main())
    assert watch.virtual_s < 5
