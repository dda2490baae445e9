"""What the usual ways to try again do while something is wrong; time is virtual."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import repeat
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

import aiohttp
import httpx
import pytest
import requests
import tenacity
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from pytest_imds import Clock, Fault, Faults, ImdsServer
from tests.clients.outages import about, asked_at

METADATA = {"Metadata": "true"}
TIMEOUT_S = 10
TRY_AGAIN = (404, 410, 429, 500, 503)
# urllib3 asks again at once; then its waits double.
DOUBLING = (0, 0, 2, 6, 14, 30, 62)

Get = Callable[[str, Retry], int]
GetPatiently = Callable[[str, tenacity.stop_after_delay], int]
GetWithRetries = Callable[[str, int], int]
Elapsed = Callable[[], float]


@pytest.fixture
def url(imds_server: ImdsServer) -> str:
    return f"{imds_server.url}/metadata/instance/compute?api-version=2021-02-01"


@pytest.fixture
def elapsed(imds_clock: Clock) -> Elapsed:
    """How many seconds of the clock have passed."""
    began = imds_clock.monotonic()
    return lambda: imds_clock.monotonic() - began


def get_with_urllib3(url: str, policy: Retry) -> int:
    with urllib3.PoolManager() as pool:
        return pool.request("GET", url, headers=METADATA, retries=policy, timeout=TIMEOUT_S).status


def get_with_requests(url: str, policy: Retry) -> int:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", HTTPAdapter(max_retries=policy))
        return session.get(url, headers=METADATA, timeout=TIMEOUT_S).status_code


def policy(total: int = 4, **options: Any) -> Retry:
    return Retry(total=total, backoff_factor=1, status_forcelist=TRY_AGAIN, **options)


@pytest.fixture(params=[get_with_urllib3, get_with_requests], ids=["urllib3", "requests"])
def get(request: pytest.FixtureRequest) -> Get:
    """A client that goes by a policy of urllib3."""
    client: Get = request.param
    return client


@pytest.mark.parametrize(
    ("fault", "wanted", "times"),
    [
        pytest.param(Fault("server_error"), policy(), DOUBLING[:5], id="500"),
        pytest.param(Fault("reset"), policy(), DOUBLING[:5], id="reset"),
        pytest.param(Fault("refused"), policy(), DOUBLING[:5], id="refused"),
        pytest.param(Fault("refused"), policy(connect=2), DOUBLING[:3], id="refused-connect=2"),
        pytest.param(Fault("throttled", retry_after=3), policy(), (0, 3, 6, 9, 12), id="Retry-After"),
        pytest.param(
            Fault("throttled", retry_after=3),
            policy(respect_retry_after_header=False),
            DOUBLING[:5],
            id="Retry-After-is-not-respected",
        ),
        pytest.param(Fault("gone", window=70), policy(3), DOUBLING[:4], id="410-for-longer"),
    ],
)
def test_a_policy_of_urllib3_asks_again_until_it_gives_up(
    get: Get,
    fault: Fault,
    wanted: Retry,
    times: tuple[float, ...],
    url: str,
    imds_faults: Faults,
    elapsed: Elapsed,
) -> None:
    fault.plan(imds_faults)

    with pytest.raises((urllib3.exceptions.MaxRetryError, requests.RequestException)):
        get(url, wanted)

    assert asked_at(imds_faults) == about(times)
    assert elapsed() == about(times[-1])


@pytest.mark.imds_fault("missing_header")
@pytest.mark.usefixtures("imds_clock")
def test_a_policy_of_urllib3_leaves_alone_what_stays_wrong(get: Get, url: str, imds_faults: Faults) -> None:
    assert get(url, policy()) == 400
    assert len(imds_faults.fired) == 1


@pytest.mark.imds_fault("gone", window=70)
def test_a_policy_of_urllib3_that_is_patient_survives_the_servicing_of_the_host(
    get: Get, url: str, imds_faults: Faults, elapsed: Elapsed
) -> None:
    assert get(url, policy(7)) == 200
    assert asked_at(imds_faults) == about(DOUBLING)
    assert elapsed() == about(126)


# tenacity waits for 1, 2, 4, 8, 16, 16 ... seconds.
DOUBLING_TO_16 = tenacity.wait_exponential(max=16)
ANSWERED_WITH_AN_ERROR = tenacity.retry_if_exception_type(httpx.HTTPStatusError)


def get_with_tenacity(url: str, stop: tenacity.stop_after_delay) -> int:
    with httpx.Client(headers=METADATA, trust_env=False) as client:

        @tenacity.retry(wait=DOUBLING_TO_16, retry=ANSWERED_WITH_AN_ERROR, stop=stop, reraise=True)
        def get() -> int:
            return client.get(url).raise_for_status().status_code

        return get()


def get_with_tenacity_asynchronously(url: str, stop: tenacity.stop_after_delay) -> int:
    async def get_again_and_again() -> int:
        async with httpx.AsyncClient(headers=METADATA, trust_env=False) as client:

            @tenacity.retry(wait=DOUBLING_TO_16, retry=ANSWERED_WITH_AN_ERROR, stop=stop, reraise=True)
            async def get() -> int:
                return (await client.get(url)).raise_for_status().status_code

            return await get()

    return asyncio.run(get_again_and_again())


@pytest.fixture(params=[get_with_tenacity, get_with_tenacity_asynchronously], ids=["sync", "async"])
def get_patiently(request: pytest.FixtureRequest) -> GetPatiently:
    """A function that tenacity calls again."""
    client: GetPatiently = request.param
    return client


@pytest.mark.imds_fault("gone", window=70)
def test_tenacity_survives_the_servicing_of_the_host(
    get_patiently: GetPatiently, url: str, imds_faults: Faults, elapsed: Elapsed
) -> None:
    assert get_patiently(url, tenacity.stop_after_delay(90)) == 200
    assert asked_at(imds_faults) == about([0, 1, 3, 7, 15, 31, 47, 63])
    assert elapsed() == about(79)


@pytest.mark.imds_fault("gone", window=70)
def test_tenacity_gives_up_at_its_deadline(
    get_patiently: GetPatiently, url: str, imds_faults: Faults, elapsed: Elapsed
) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="410"):
        get_patiently(url, tenacity.stop_after_delay(30))

    # It looks at its deadline after each attempt, so the last one is later.
    assert asked_at(imds_faults) == about([0, 1, 3, 7, 15, 31])
    assert elapsed() == about(31)


def get_with_httpx(url: str, retries: int) -> int:
    with httpx.Client(transport=httpx.HTTPTransport(retries=retries)) as client:
        return client.get(url, headers=METADATA).status_code


def get_with_async_httpx(url: str, retries: int) -> int:
    async def get() -> int:
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=retries)) as client:
            return (await client.get(url, headers=METADATA)).status_code

    return asyncio.run(get())


@pytest.fixture(params=[get_with_httpx, get_with_async_httpx], ids=["sync", "async"])
def get_with_retries(request: pytest.FixtureRequest) -> GetWithRetries:
    """httpx, with a transport that tries to connect again: at once, then after waits that double, from 0.5 s."""
    client: GetWithRetries = request.param
    return client


@pytest.mark.imds_fault("refused", times=5)
def test_a_transport_of_httpx_connects_when_the_service_has_come_up(
    get_with_retries: GetWithRetries, url: str, imds_faults: Faults, elapsed: Elapsed
) -> None:
    assert get_with_retries(url, 5) == 200
    assert asked_at(imds_faults) == about([0, 0, 0.5, 1.5, 3.5])
    assert elapsed() == about(7.5)


@pytest.mark.imds_fault("refused")
def test_a_transport_of_httpx_gives_up_after_its_retries(
    get_with_retries: GetWithRetries, url: str, imds_faults: Faults, elapsed: Elapsed
) -> None:
    with pytest.raises(httpx.ConnectError):
        get_with_retries(url, 3)

    assert asked_at(imds_faults) == about([0, 0, 0.5, 1.5])
    assert elapsed() == about(1.5)


@pytest.mark.imds_fault("server_error", status=503)
@pytest.mark.usefixtures("imds_clock")
def test_a_transport_of_httpx_does_not_try_again_where_it_gets_an_answer(
    get_with_retries: GetWithRetries, url: str, imds_faults: Faults
) -> None:
    assert get_with_retries(url, 3) == 503
    assert len(imds_faults.fired) == 1


async def ask_by_hand(url: str, waits: Iterable[float], total_s: float = TIMEOUT_S) -> int | None:
    """A backoff as it is written by hand, with aiohttp: after each failure, wait for the next of ``waits``."""
    timeout = aiohttp.ClientTimeout(total=total_s, ceil_threshold=60)  # shorter ones shall not end at whole seconds
    async with aiohttp.ClientSession(timeout=timeout, headers=METADATA) as session:
        for wait in waits:
            with suppress(aiohttp.ClientError, asyncio.TimeoutError):
                async with session.get(url) as response:
                    if response.status not in TRY_AGAIN:
                        return response.status
            await asyncio.sleep(wait)
    return None


@pytest.mark.imds_fault("sequence", Fault("refused", times=2), Fault("server_error", times=1), Fault("gone", window=70))
def test_a_backoff_with_aiohttp_survives_the_boot_of_a_host(url: str, imds_faults: Faults, elapsed: Elapsed) -> None:
    assert asyncio.run(ask_by_hand(url, [2**n for n in range(8)])) == 200
    assert [fired.fault for fired in imds_faults.fired] == ["refused"] * 2 + ["server_error"] + ["gone"] * 4
    assert asked_at(imds_faults) == about([0, 1, 3, 7, 15, 31, 63])
    assert elapsed() == about(127)


@pytest.mark.parametrize(
    ("wait", "total_s"),
    [
        pytest.param(10, TIMEOUT_S, marks=pytest.mark.imds_fault("not_found"), id="wait"),
        pytest.param(0, 10, marks=pytest.mark.imds_fault("blackhole"), id="time-out"),
    ],
)
def test_a_deadline_of_25_seconds_falls_inside_the_third_10(
    wait: float, total_s: float, url: str, imds_faults: Faults, elapsed: Elapsed
) -> None:
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(asyncio.wait_for(ask_by_hand(url, repeat(wait), total_s), 25))

    assert asked_at(imds_faults) == about([0, 10, 20])
    assert elapsed() == about(25)


@pytest.mark.imds_fault("latency", 8)
@pytest.mark.parametrize(("total_s", "status", "ends"), [(10, 200, 8), (5, None, 5)], ids=["in-time", "too-late"])
def test_a_reply_that_is_late_comes_before_the_time_out_or_not(
    total_s: float, status: int | None, ends: float, url: str, elapsed: Elapsed
) -> None:
    assert asyncio.run(ask_by_hand(url, [0], total_s)) == status
    assert elapsed() == about(ends)


def get_with_urllib(url: str, waits: Iterable[float]) -> int | None:
    """A backoff as it is written by hand, with nothing but the standard library."""
    opener = build_opener(ProxyHandler({}))
    for wait in waits:
        try:
            with opener.open(Request(url, headers=METADATA), timeout=TIMEOUT_S) as response:
                status: int = response.status
                return status
        except HTTPError as refused:
            refused.close()
            if refused.code not in TRY_AGAIN:
                raise
        except (URLError, ConnectionError):
            pass
        time.sleep(wait)
    return None


@pytest.mark.imds_fault("sequence", Fault("refused", times=2), Fault("reset", times=1), Fault("gone", window=70))
def test_a_backoff_with_urllib_survives_the_boot_of_a_host(url: str, imds_faults: Faults, elapsed: Elapsed) -> None:
    assert get_with_urllib(url, [2**n for n in range(8)]) == 200
    assert asked_at(imds_faults) == about([0, 1, 3, 7, 15, 31, 63])
    assert elapsed() == about(127)
