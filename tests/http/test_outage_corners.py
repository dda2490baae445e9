"""Where two things meet: a fault and a server that does not run yet, a reply that is late by itself, a refusal."""

from __future__ import annotations

import pytest
import requests

from pytest_imds import Clock, Faults, ImdsServer, ImdsUsageError
from tests.http.wire import TIMEOUT_S

HEADERS = {"Metadata": "true"}
EVENTS = "/metadata/scheduledevents?api-version=2020-07-01"
DOCUMENT = "/metadata/attested/document?nonce=8410293847"


def get(server: ImdsServer, target: str) -> requests.Response:
    return requests.get(f"{server.url}{target}", headers=HEADERS, timeout=TIMEOUT_S)


def test_a_door_that_was_shut_before_the_server_started_is_shut() -> None:
    with ImdsServer() as there:
        port = there.port
    server = ImdsServer(port=port)
    server.faults.refused(times=1)
    with server:
        with pytest.raises(requests.ConnectionError):
            get(server, EVENTS)
        assert get(server, EVENTS).status_code == 200


@pytest.mark.usefixtures("imds_clock")
def test_the_first_reply_of_the_events_is_late_and_then_cut_off(imds_server: ImdsServer, imds_faults: Faults) -> None:
    imds_server.events.first_call_s = 60
    imds_faults.truncated(bytes=5, times=1)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="5 bytes read"):
        requests.get(f"{imds_server.url}{EVENTS}", headers=HEADERS, timeout=100)
    assert get(imds_server, EVENTS).json()["Events"] == []


def test_a_cache_of_nonces_refuses_what_is_refused(imds_server: ImdsServer, imds_faults: Faults) -> None:
    imds_faults.stale_nonce()
    assert get(imds_server, DOCUMENT).status_code == 400
    assert get(imds_server, f"{DOCUMENT}&api-version=2021-02-01").status_code == 200


def test_how_many_requests_are_throttled_is_said_once(imds_faults: Faults) -> None:
    with pytest.raises(ImdsUsageError, match="times cannot be 2"):
        imds_faults.throttled(requests=1, times=2)


def test_a_late_reply_is_made_in_the_time_in_which_it_leaves(
    imds_server: ImdsServer, imds_faults: Faults, imds_clock: Clock
) -> None:
    event = imds_server.events.schedule("Preempt")
    imds_faults.latency(40)
    (shown,) = requests.get(f"{imds_server.url}{EVENTS}", headers=HEADERS, timeout=100).json()["Events"]
    assert (shown["EventId"], shown["EventStatus"]) == (event.event_id, "Started")
    assert imds_clock.now.timestamp() == pytest.approx(imds_clock.time(), abs=1)
