"""What virtual time costs: an outage that nobody waits for, and a clock that nobody reads."""

from __future__ import annotations

import statistics
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from pytest_imds import Clock, Faults, ImdsServer

from .conftest import Budget
from .test_runs import run

OUTAGE_S = 70
# A clock that is never virtual.
REALLY = time.CLOCK_MONOTONIC


def metadata(server: ImdsServer) -> Request:
    return Request(f"{server.url}/metadata/instance?api-version=2021-02-01", headers={"Metadata": "true"})


def answered(request: Request) -> bool:
    try:
        with urlopen(request, timeout=5) as reply:
            return bool(reply.read())
    except HTTPError as refused:
        refused.close()
        return False


def test_an_outage_of_70_seconds(
    budget: Budget, imds_server: ImdsServer, imds_faults: Faults, imds_clock: Clock
) -> None:
    request = metadata(imds_server)

    def measure() -> float:
        imds_faults.clear()
        imds_faults.gone(window=OUTAGE_S)
        began, really = imds_clock.monotonic(), time.clock_gettime(REALLY)
        while not answered(request):
            time.sleep(10)
        assert imds_clock.monotonic() - began >= OUTAGE_S
        return (time.clock_gettime(REALLY) - really) / OUTAGE_S

    # 50 ms of 70 s.
    budget("9 an outage of 70 s, asked every 10 s: real / virtual time", 0.05 / OUTAGE_S, measure)


@pytest.mark.usefixtures("imds_clock")
def test_waiting_between_requests(budget: Budget, imds_server: ImdsServer) -> None:
    request = metadata(imds_server)

    def asking(wait: float) -> float:
        really = time.clock_gettime(REALLY)
        for _ in range(100):
            answered(request)
            if wait:
                time.sleep(wait)
        return time.clock_gettime(REALLY) - really

    budget("9 a hundred requests a second apart / one right after the other", 2.5, lambda: asking(1) / asking(0))


def test_an_idle_clock(budget: Budget, pytester: pytest.Pytester) -> None:
    def measure() -> float:
        taken = run(
            pytester,
            """
            import pytest
            @pytest.mark.parametrize("number", range(300))
            def test_a_empty(number): pass
            @pytest.mark.parametrize("number", range(300))
            def test_b_server(number, imds_server): pass
            @pytest.mark.parametrize("number", range(300))
            def test_c_clock(number, imds_server, imds_clock): pass
            """,
        )["taken"]
        empty, server, clock = (statistics.median(taken[kind::3]) for kind in range(3))
        return (clock - server) / empty

    # 1 ms more than without it, by the 0.3 ms of an empty test.
    budget("9 what imds_clock adds to a test that does not wait / an empty test", 3.3, measure)
