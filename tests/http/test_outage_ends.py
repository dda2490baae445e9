"""How outages end: when their times or their window is over, when they are cleared, and with the test."""

from __future__ import annotations

import errno
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from select import select

import pytest

from pytest_imds import Fault, Faults, ImdsServer
from pytest_imds.shared import Shared
from tests.http.wire import INSTANCE, TIMEOUT_S, Wire, fetch, request

ASKED = request(INSTANCE)
OPEN_FILES = Path("/proc/self/fd")
# How long a client listens before it takes the other side for silent, or gives up.
LISTENS_S = 0.05
# How much longer the end of a test may take.
DELAY_S = 0.05
# What never answers by itself, or not for a long time, and breaks requests.
LASTING = {
    "blackhole": Fault("blackhole"),
    "latency": Fault("latency", 60),
    "dribble": Fault("dribble", over=60),
    "half_closed": Fault("half_closed"),
}
DOORS = {"refused": Fault("refused"), "connect_timeout": Fault("connect_timeout")}
ALL = {**LASTING, **DOORS}
# How many clients of a server are left without an answer at once.
MOST_WAITING = 4

lasting = pytest.mark.parametrize("name", LASTING)
doors = pytest.mark.parametrize("name", DOORS)
End = Callable[[ImdsServer], None]
both_ends = pytest.mark.parametrize("end", [ImdsServer.release, ImdsServer.stop])


def connects(server: ImdsServer, listens_s: float = LISTENS_S) -> str:
    """Say what becomes of an attempt to connect and to ask."""
    with socket.socket() as client:
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", server.port))
        # A time-out of the socket could be over before anybody has looked.
        if not select([], [client], [], listens_s)[1]:
            return "connect_timeout"
        if client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED:
            return "refused"
        client.settimeout(TIMEOUT_S)
        client.sendall(ASKED)
        return client.recv(65536)[9:12].decode() or "closed"


@doors
def test_so_many_attempts_fail_after_so_many_requests(imds_server: ImdsServer, imds_faults: Faults, name: str) -> None:
    Fault(name, after=2, times=2).plan(imds_faults)
    assert [connects(imds_server) for _ in range(6)] == ["200", "200", name, name, "200", "200"]
    assert [(fired.fault, fired.request) for fired in imds_faults.fired] == [(name, "connect")] * 2


@doors
def test_nobody_connects_until_the_window_is_over(imds_server: ImdsServer, imds_faults: Faults, name: str) -> None:
    Fault(name, window=60).plan(imds_faults)
    imds_server.clock.advance(58)
    assert connects(imds_server) == name
    imds_server.clock.advance(2)
    assert connects(imds_server) == "200"


@doors
def test_a_kept_connection_is_closed_when_nobody_may_connect(
    imds_server: ImdsServer, imds_faults: Faults, name: str
) -> None:
    Fault(name, after=2, required=False).plan(imds_faults)
    with Wire(imds_server) as idle, Wire(imds_server) as last:
        for wire in (idle, last):
            wire.send(ASKED)
            assert wire.reply().status == 200
        assert (ends(idle), ends(last)) == ("closed", "closed")


@pytest.mark.imds_fault("connect_timeout", after=1, times=1)
@pytest.mark.imds_fault("refused", times=1)
def test_two_doors_are_shut_one_after_the_other(imds_server: ImdsServer) -> None:
    assert [connects(imds_server) for _ in range(4)] == ["refused", "200", "connect_timeout", "200"]


def fired(server: ImdsServer, count: int) -> None:
    """Wait until so many requests have met a fault."""
    deadline = time.monotonic() + TIMEOUT_S
    while len(server.faults.fired) < count:
        assert time.monotonic() < deadline, server.faults.fired
        time.sleep(0.0005)  # the threads of the server have their turn


def waiting(server: ImdsServer, stack: ExitStack, count: int) -> list[Wire]:
    """Return clients whose requests have all met a fault."""
    wires, before = [stack.enter_context(Wire(server)) for _ in range(count)], len(server.faults.fired)
    for wire in wires:
        wire.send(ASKED)
    fired(server, before + count)
    return wires


def meet(server: ImdsServer, stack: ExitStack, name: str, count: int) -> list[Wire]:
    """Meet a fault; return the clients whose requests it has broken."""
    if name in LASTING:
        return waiting(server, stack, count)
    assert connects(server) == name
    return []


def ends(wire: Wire) -> str:
    """Say how a connection ends; what comes before is no matter."""
    try:
        while wire.socket.recv(65536):
            pass
    except ConnectionResetError:
        return "reset"
    return "closed"


@lasting
def test_other_connections_are_served_meanwhile(imds_server: ImdsServer, imds_faults: Faults, name: str) -> None:
    imds_server.expect_request("/elsewhere").respond_with_data("served")
    LASTING[name].plan(imds_faults)
    with ExitStack() as stack:
        waiting(imds_server, stack, 10)
        assert fetch(imds_server, "/elsewhere").body == b"served"


@both_ends
@lasting
def test_the_end_of_a_test_does_not_wait_for_clients_that_wait(end: End, name: str) -> None:
    took_s = []
    with closing(Shared()) as shared:
        for _ in range(3):
            server = ImdsServer(shared=shared)
            server.start()
            with ExitStack() as stack:
                LASTING[name].plan(server.faults)
                wires = waiting(server, stack, 5)
                before = time.perf_counter()
                end(server)
                took_s.append(time.perf_counter() - before)
                assert {ends(wire) for wire in wires} <= {"closed", "reset"}
            server.check()
    assert min(took_s) < DELAY_S


@both_ends
@doors
def test_the_end_of_a_test_does_not_wait_for_clients_that_connect(end: End, name: str) -> None:
    took_s = []
    with closing(Shared()) as shared:
        for _ in range(3):
            server = ImdsServer(shared=shared)
            server.start()
            DOORS[name].plan(server.faults)
            with ExitStack() as stack:
                for _ in range(3):
                    client = stack.enter_context(socket.socket())
                    client.setblocking(False)
                    client.connect_ex(("127.0.0.1", server.port))
                before = time.perf_counter()
                end(server)
                took_s.append(time.perf_counter() - before)
            server.check()
    assert min(took_s) < DELAY_S


@pytest.mark.parametrize("name", ALL)
def test_nothing_reaches_the_next_test(name: str) -> None:
    with closing(Shared()) as shared, ExitStack() as stack:
        former, server = (ImdsServer(seed=seed, shared=shared) for seed in (1, 2))
        former.start()
        ALL[name].plan(former.faults)
        wires = meet(former, stack, name, 5)
        former.release()
        with server:
            assert server.port == former.port
            assert connects(server) == "200"
            assert server.vm.vm_id in fetch(server, INSTANCE).body.decode()
            assert {ends(wire) for wire in wires} <= {"closed", "reset"}
            assert (len(server.log), server.faults.fired) == (2, ())
    assert "connect" not in vars(socket.socket)


@doors
def test_after_clear_clients_may_connect_at_once(imds_server: ImdsServer, imds_faults: Faults, name: str) -> None:
    for _ in range(3):
        DOORS[name].plan(imds_faults)
        assert connects(imds_server) == name
        imds_faults.clear()
        assert connects(imds_server) == "200"


@lasting
def test_after_clear_requests_are_answered(imds_server: ImdsServer, imds_faults: Faults, name: str) -> None:
    LASTING[name].plan(imds_faults)
    with ExitStack() as stack:
        wires = waiting(imds_server, stack, 3)
        imds_faults.clear()
        for _ in range(3):
            assert connects(imds_server) == "200"
        imds_server.clock.advance(60)
        if name == "latency":
            assert [wire.reply().status for wire in wires] == [200] * 3


@pytest.mark.parametrize("name", ALL)
def test_a_server_that_has_stopped_in_an_outage_starts_again(name: str) -> None:
    server = ImdsServer()
    for _ in range(3):
        server.start()
        ALL[name].plan(server.faults)
        with ExitStack() as stack:
            meet(server, stack, name, 1)
            server.faults.clear()
            assert connects(server) == "200"
            server.stop()
    server.check()


# Each breaks one request, or one attempt to connect; and what its client sees.
SOAKED: tuple[tuple[Fault, str], ...] = (
    (Fault("reset", times=1), "reset"),
    (Fault("reset", after_bytes=100, times=1), "reset"),
    (Fault("empty_response", times=1), "closed"),
    (Fault("half_closed", after_bytes=100, times=1), "closed"),
    (Fault("truncated", bytes=10, times=1), "closed"),
    (Fault("malformed_chunk", times=1), "closed"),
    (Fault("random_data", times=1), "closed"),
    (Fault("dribble", chunks=1, over=0.001, times=1), "answered"),
    (Fault("dribble", over=60, times=1), "silent"),
    (Fault("latency", 60, times=1), "silent"),
    (Fault("blackhole", times=1), "silent"),
    (Fault("refused", times=1), "refused"),
    (Fault("connect_timeout", times=1), "connect_timeout"),
)


def soak(server: ImdsServer, chance: random.Random, count: int, stack: ExitStack) -> None:
    """Play so many faults over new and kept connections; clients that hear nothing go on waiting."""
    kept, patient = list[Wire](), list[Wire]()
    for number in range(1, count + 1):
        fault, seen = chance.choice(SOAKED)
        fault.plan(server.faults)
        if fault.name in DOORS:
            assert connects(server, 0.001 if seen == "connect_timeout" else TIMEOUT_S) == seen
        else:
            wire = kept.pop() if kept else stack.enter_context(Wire(server))
            wire.send(ASKED)
            if seen == "answered":
                assert wire.reply().status == 200
                kept.append(wire)
            elif seen == "silent":
                fired(server, number)
                patient.append(wire)
            else:
                assert ends(wire) == seen
                wire.__exit__(None, None, None)
        if kept and (fault.name in DOORS or chance.random() < 0.3):
            kept.pop().__exit__(None, None, None)
        elif not kept and chance.random() < 0.5:
            kept.append(stack.enter_context(Wire(server)))
            kept[0].send(ASKED)
            assert kept[0].reply().status == 200
        if len(patient) > MOST_WAITING:
            patient.pop(chance.randrange(MOST_WAITING)).__exit__(None, None, None)
        if chance.random() < 0.1:
            server.faults.clear()


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="open files are counted as Linux lists them")
def test_a_thousand_outages_leave_nothing_behind() -> None:
    chance, shared = random.Random(5), Shared()
    threads, files = set(threading.enumerate()), len(list(OPEN_FILES.iterdir()))
    names = [dict(vars(owner)) for owner in (socket, socket.socket, time)]
    with closing(shared):
        for _ in range(20):
            server = ImdsServer(shared=shared)
            server.start()
            with ExitStack() as stack:
                stack.callback(server.release)
                soak(server, chance, 50, stack)
                server.release()
            server.check()
    for thread in set(threading.enumerate()) - threads:
        thread.join(TIMEOUT_S)
    assert set(threading.enumerate()) <= threads
    assert len(list(OPEN_FILES.iterdir())) <= files
    assert [dict(vars(owner)) for owner in (socket, socket.socket, time)] == names
