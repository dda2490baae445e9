"""A client that survives the servicing of its host, and others that do not.

The client is urllib; nobody really waits: time is virtual.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from pytest_imds import Clock, Fault, Faults, ImdsServer

TRY_AGAIN = (404, 410, 429, 500, 503)


def compute(imds: str, waits: Iterable[float]) -> Any:
    """The code under test: ask for the metadata, and after each failure wait for so many seconds and ask again."""
    request = Request(f"{imds}/metadata/instance/compute?api-version=2021-02-01", headers={"Metadata": "true"})
    for wait in waits:
        try:
            return ask(request)
        except HTTPError as refused:
            if refused.code not in TRY_AGAIN:
                raise
        except (URLError, ConnectionError):
            pass
        time.sleep(wait)
    return ask(request)


def ask(request: Request) -> Any:
    with urlopen(request, timeout=5) as reply:
        return json.load(reply)


NAIVE = [1, 1]
# IMDS is back 70 seconds after a 410; this goes on for longer.
PATIENT = [1, 2, 4, 8, 16, 32, 32]


@pytest.mark.imds_fault("gone", window=70)
@pytest.mark.usefixtures("imds_clock")
def test_three_attempts_do_not_survive_the_servicing_of_the_host(imds_server: ImdsServer) -> None:
    with pytest.raises(HTTPError, match="410"):
        compute(imds_server.url, NAIVE)


@pytest.mark.imds_fault("gone", window=70)
def test_a_patient_client_survives_it(imds_server: ImdsServer, imds_clock: Clock) -> None:
    began = imds_clock.monotonic()
    assert compute(imds_server.url, PATIENT)["vmId"] == imds_server.vm.vm_id
    assert imds_clock.monotonic() - began >= 70


@pytest.mark.imds_fault("throttled", requests=2, path="/metadata/instance*")
@pytest.mark.usefixtures("imds_clock")
def test_a_burst_of_429_is_waited_out(imds_server: ImdsServer, imds_faults: Faults) -> None:
    # Catches a client that asks again at once: it would be throttled for longer.
    compute(imds_server.url, PATIENT)
    first, second = [fired.at_s for fired in imds_faults.fired]
    assert second - first >= 1


@pytest.mark.imds_fault("sequence", Fault("refused", times=2), Fault("reset", times=1), Fault("server_error", times=1))
@pytest.mark.usefixtures("imds_clock")
def test_the_boot_of_a_host_is_survived(imds_server: ImdsServer) -> None:
    assert compute(imds_server.url, PATIENT)["vmId"] == imds_server.vm.vm_id


@pytest.mark.imds_fault("missing_header")
@pytest.mark.usefixtures("imds_clock")
def test_what_will_not_pass_is_not_asked_for_again(imds_server: ImdsServer, imds_faults: Faults) -> None:
    # Catches a client that retries whatever is not 200: a 400 stays a 400.
    with pytest.raises(HTTPError, match="400"):
        compute(imds_server.url, PATIENT)
    assert len(imds_faults.fired) == 1
