"""Attempts to connect are seen before they are made, and the class of sockets is afterwards as it was."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import pytest

from pytest_imds import ImdsServer
from pytest_imds.listener import Listener
from pytest_imds.network.sockets import watch

TIMEOUT_S = 5.0
NAMES = ("connect", "connect_ex")

# What is patched is the class of all sockets: whatever a test finds there it must leave there.
real: Any = socket.socket


class Count:
    """Counts the attempts."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def __call__(self) -> None:
        self.threads.append(threading.current_thread())

    @property
    def times(self) -> int:
        return len(self.threads)


@pytest.fixture
def port() -> Iterator[int]:
    """A port where clients are accepted."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield listening.getsockname()[1]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = found()
    yield
    assert found() == before


def found() -> list[tuple[Any, bool]]:
    # In this order: a hook that an earlier test has put back leaves when it is looked up.
    return [(getattr(real, name), name in vars(real)) for name in NAMES]


def connect(port: int, host: str = "127.0.0.1") -> None:
    with socket.socket() as client:
        client.settimeout(TIMEOUT_S)
        client.connect((host, port))


def test_both_ways_to_connect_are_seen(port: int) -> None:
    count = Count()
    with watch(port, count):
        connect(port)
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", port)) == 0
    assert count.times == 2


def test_attempt_is_told_before_it_is_made() -> None:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            connect(port)
        with watch(port, door.listen):
            connect(port)


def test_attempt_is_told_by_the_thread_that_makes_it(port: int) -> None:
    count = Count()
    thread = threading.Thread(target=connect, args=[port])
    with watch(port, count):
        thread.start()
        thread.join(TIMEOUT_S)
    assert count.threads == [thread]


def test_attempt_that_fails_counts_and_fails(port: int) -> None:
    count = Count()
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        nobody = bound.getsockname()[1]
        with watch(nobody, count), pytest.raises(ConnectionRefusedError):
            connect(nobody)
    assert count.times == 1


def test_client_libraries_are_seen(port: int) -> None:
    count = Count()

    async def open_connection() -> None:
        _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), TIMEOUT_S)
        writer.close()
        await writer.wait_closed()

    with watch(port, count):
        asyncio.run(open_connection())
        assert count.times == 1
        connection = http.client.HTTPConnection("localhost", port, timeout=TIMEOUT_S)
        connection.connect()
        connection.close()
    assert count.times == 2


def test_subclass_is_seen(port: int) -> None:
    class Guarded(socket.socket):
        def connect(self, address: Any) -> None:
            super().connect(address)

    count = Count()
    with watch(port, count), Guarded() as client:
        client.connect(("127.0.0.1", port))
    assert count.times == 1


@pytest.mark.parametrize(
    ("family", "kind", "address", "seen"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 80), True),
        (socket.AF_INET, socket.SOCK_STREAM, (b"127.0.0.1", 80), True),
        (socket.AF_INET, socket.SOCK_STREAM, ("127.8.0.9", 80), True),
        (socket.AF_INET, socket.SOCK_STREAM, ("localhost", 80), True),
        (socket.AF_INET6, socket.SOCK_STREAM, ("::ffff:127.0.0.1", 80), True),
        (socket.AF_INET6, socket.SOCK_STREAM, ("::FFFF:7f00:1", 80, 0, 0), True),
        (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 81), False),
        (socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80), False),
        (socket.AF_INET, socket.SOCK_STREAM, ("imds.example", 80), False),
        (socket.AF_INET6, socket.SOCK_STREAM, ("::1", 80, 0, 0), False),
        (socket.AF_INET6, socket.SOCK_STREAM, ("::ffff:192.0.2.1", 80), False),
        (socket.AF_INET6, socket.SOCK_STREAM, ("localhost", 80), False),
        (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 80), False),
        (socket.AF_INET, socket.SOCK_STREAM, (None, 80), False),
        (socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1:80", False),
        (socket.AF_INET, socket.SOCK_STREAM, (), False),
        (socket.AF_UNIX, socket.SOCK_STREAM, "/nowhere", False),
    ],
)
def test_attempts_at_the_port_of_this_machine_count(
    monkeypatch: pytest.MonkeyPatch, family: int, kind: int, address: Any, seen: bool
) -> None:
    count = Count()
    reached: list[Any] = []
    monkeypatch.setattr(real, "connect", lambda _, address: reached.append(address))  # nothing leaves this machine
    with watch(80, count), socket.socket(family, kind) as client:
        client.connect(address)
    assert (count.times, reached) == (seen, [address])
    monkeypatch.undo()


def test_several_watches_see_their_own_ports(port: int) -> None:
    one, same, other, inner = Count(), Count(), Count(), Count()
    with watch(port, one), watch(port, same), watch(port + 1, other):
        with watch(port, inner):
            connect(port)
        connect(port)
    assert [count.times for count in (one, same, other, inner)] == [2, 2, 0, 1]


def test_class_is_as_it_was(port: int) -> None:
    before = [getattr(real, name) for name in NAMES]
    meanwhile: list[str] = []

    def fail() -> None:
        with watch(port, Count()):
            meanwhile.extend(name for name in NAMES if name in vars(real))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert meanwhile == [*NAMES]
    assert [getattr(real, name) for name in NAMES] == before
    assert not any(name in vars(real) for name in NAMES)


def test_guard_that_was_there_first_is_called_and_put_back(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def guard(_: socket.socket, address: Any) -> None:
        raise PermissionError(f"{address} is not allowed")

    count = Count()
    monkeypatch.setattr(real, "connect", guard)
    with watch(port, count), pytest.raises(PermissionError, match="is not allowed"):
        connect(port)
    assert count.times == 1
    assert vars(real)["connect"] is guard
    monkeypatch.undo()


def test_double_that_takes_no_socket_is_called_as_it_is_without_the_watch(port: int) -> None:
    with mock.patch.object(real, "connect") as double, watch(port, Count()):
        connect(port)
    double.assert_called_once_with(("127.0.0.1", port))


def test_what_somebody_else_has_put_there_stays(port: int) -> None:
    before = real.connect
    count = Count()
    with watch(port, count):
        real.connect = before  # as pytest-socket does after every test
        connect(port)
    assert vars(real)["connect"] is before
    del real.connect
    assert count.times == 0


@pytest.mark.parametrize("static", [True, False])
def test_watch_that_is_put_back_after_its_end_is_gone(port: int, static: bool) -> None:
    before = real.connect
    count = Count()
    with watch(port, count):
        ours = vars(real)["connect"] if static else real.connect
        real.connect = lambda client, address: ours(client, address)
        connect(port)
        assert count.times == 1
    connect(port)  # theirs is still there, and calls what it has found
    real.connect = ours
    assert real.connect is before
    assert "connect" not in vars(real)
    connect(port)
    assert count.times == 1


def test_watch_above_what_stands_above_a_former_one_counts_once(port: int) -> None:
    count = Count()
    with watch(port, Count()):
        ours = vars(real)["connect"]
        real.connect = theirs = lambda client, address: ours(client, address)
        with watch(port, count):
            connect(port)
        assert count.times == 1
    assert vars(real)["connect"] is theirs
    real.connect = ours
    with watch(port, count):
        connect(port)
    assert count.times == 2


def test_a_listener_s_own_connections_do_not_count() -> None:
    count = Count()
    listener = Listener()
    with watch(listener.port, count):
        listener.attach(ImdsServer())
        listener.shut("refused", lambda: False)
        listener.shut("unanswered", lambda: False)
        listener.open()
        listener.shut("unanswered", lambda: False)
        listener.detach()
        listener.shutdown()
    assert count.times == 0


def test_threads_that_watch_and_connect_at_once_leave_nothing_behind(port: int) -> None:
    def watch_often(_: int) -> int:
        count = Count()
        for _ in range(50):
            with watch(port, count), socket.socket() as client:
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
        return sum(thread is threading.current_thread() for thread in count.threads)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(watch_often, range(8), timeout=30)) == [50] * 8
