"""The limits of the service, over connections: how many requests it answers in a second, and at once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from pytest_imds import Faults, ImdsServer, data
from pytest_imds.clock import Clock
from tests.http.wire import INSTANCE, TIMEOUT_S, Wire, error, request

KNOWN = data.read("behaviour")["rate-limits"]
AT_ONCE: int = KNOWN["identity_at_once"]
PER_S: int = KNOWN["other_per_s"]
IDENTITY_PER_S: int = KNOWN["identity_per_s"]
INFO = "/metadata/identity/info?api-version=2018-02-01"
TOKEN = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net"
BALANCER = "/metadata/loadbalancer?api-version=2020-10-01"
ATTESTED = "/metadata/attested/document?api-version=2020-09-01"

limited = pytest.mark.imds(rate_limit=True)


def asked(server: ImdsServer, *targets: str) -> list[int]:
    """Send requests over one connection, and return the statuses of the replies."""
    statuses = []
    with Wire(server) as wire:
        for target in targets:
            wire.send(request(target))
            statuses.append(wire.reply().status)
    return statuses


def arrived(server: ImdsServer, count: int) -> None:
    """Wait until so many requests have arrived."""
    deadline = time.monotonic() + TIMEOUT_S
    while len(server.log) < count:
        assert time.monotonic() < deadline, len(server.log)
        time.sleep(0.001)  # the threads of the server have their turn


def overlapping(server: ImdsServer, count: int) -> list[int]:
    """Return the statuses of tokens that have all been asked for before the first one comes."""
    server.faults.latency(60, times=count)
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(count)]
        before = len(server.log)
        for wire in wires:
            wire.send(request(TOKEN))
        arrived(server, before + count)
        server.clock.advance(60)
        return [wire.reply().status for wire in wires]


def test_there_are_no_limits_by_default(imds_server: ImdsServer) -> None:
    assert asked(imds_server, *[INSTANCE] * 50, *[INFO] * 50) == [200] * 100


@limited
@pytest.mark.parametrize(("target", "per_s"), [(INSTANCE, PER_S), (INFO, IDENTITY_PER_S), (TOKEN, IDENTITY_PER_S)])
def test_so_many_requests_a_second_are_answered(imds_server: ImdsServer, target: str, per_s: int) -> None:
    assert asked(imds_server, target) == [200]  # the first token takes long: it needs a key
    for _ in range(3):
        imds_server.clock.advance(1)
        assert asked(imds_server, *[target] * (per_s + 3)) == [200] * per_s + [429] * 3


@limited
@pytest.mark.parametrize(
    ("target", "name"),
    [
        (INSTANCE, "throttled"),
        (f"{INSTANCE}&format=text", "throttled-text"),
        (ATTESTED, "throttled"),
        (BALANCER, "loadbalancer-throttled"),
    ],
)
def test_the_refusal_is_the_error_of_the_data_and_the_connection_goes_on(
    imds_server: ImdsServer, target: str, name: str
) -> None:
    assert asked(imds_server, *[INSTANCE] * PER_S) == [200] * PER_S
    with Wire(imds_server) as wire:
        wire.send(request(target))
        reply = wire.reply()
        assert (reply.told, reply.header("Retry-After")) == (error(name), None)
        imds_server.clock.advance(1)
        wire.send(request(INSTANCE))
        assert wire.reply().status == 200


@limited
def test_identity_is_counted_apart(imds_server: ImdsServer) -> None:
    assert asked(imds_server, *[INSTANCE] * 6, INFO) == [200] * 5 + [429, 200]
    assert asked(imds_server, *[INFO] * (IDENTITY_PER_S - 1), INFO, INSTANCE) == [200] * 19 + [429, 429]


@limited
def test_requests_that_are_refused_do_not_count(imds_server: ImdsServer) -> None:
    wrong = "/metadata/instance?api-version=1999-01-01"
    assert asked(imds_server, *[wrong] * 10, *["/metadata/nothing"] * 10) == [400] * 10 + [404] * 10
    assert asked(imds_server, *[INSTANCE] * 30) == [200] * 5 + [429] * 25
    imds_server.clock.advance(1)
    assert asked(imds_server, *[INSTANCE] * 6) == [200] * 5 + [429]


@limited
def test_what_a_fault_answers_does_not_count(imds_server: ImdsServer, imds_faults: Faults) -> None:
    imds_faults.server_error(times=10)
    assert asked(imds_server, *[INSTANCE] * 16) == [500] * 10 + [200] * 5 + [429]


@limited
def test_what_the_test_answers_is_not_limited(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/metadata/instance").respond_with_data("own")
    assert asked(imds_server, *[INSTANCE] * 10) == [200] * 10


@limited
def test_a_client_that_pauses_is_within_the_limit(imds_server: ImdsServer, imds_clock: Clock) -> None:
    statuses = []
    with Wire(imds_server) as wire:
        for _ in range(12):
            wire.send(request(INSTANCE))
            statuses.append(wire.reply().status)
            time.sleep(0.2)
    assert statuses == [200] * 12


def test_threads_get_exactly_as_many_answers_as_there_are() -> None:
    for _ in range(5):
        with ImdsServer(rate_limit=True) as server:
            together = threading.Barrier(20, timeout=TIMEOUT_S)

            def ask(_: int, server: ImdsServer = server, together: threading.Barrier = together) -> int:
                with Wire(server) as wire:
                    together.wait()
                    wire.send(request(INSTANCE))
                    return wire.reply().status

            with ThreadPoolExecutor(20) as pool:
                assert Counter(pool.map(ask, range(20), timeout=30)) == {200: PER_S, 429: 20 - PER_S}


@limited
def test_five_requests_to_identity_at_once_are_answered(imds_server: ImdsServer) -> None:
    for _ in range(3):
        assert overlapping(imds_server, AT_ONCE) == [200] * AT_ONCE
        imds_server.clock.advance(1)


@limited
@pytest.mark.parametrize("count", [AT_ONCE + 1, 20])
def test_of_more_requests_to_identity_at_once_five_are_answered(imds_server: ImdsServer, count: int) -> None:
    for _ in range(5):
        assert Counter(overlapping(imds_server, count)) == {200: AT_ONCE, 429: count - AT_ONCE}
        imds_server.clock.advance(1)


@limited
def test_a_request_that_never_reached_identity_is_not_one_of_five(imds_server: ImdsServer, imds_faults: Faults) -> None:
    imds_faults.blackhole(times=AT_ONCE)
    with ExitStack() as stack:
        for _ in range(AT_ONCE):
            stack.enter_context(Wire(imds_server)).send(request(TOKEN))
        arrived(imds_server, AT_ONCE)
        assert asked(imds_server, TOKEN) == [200]
