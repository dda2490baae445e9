"""The door of the listener: clients that are refused, SYNs that nobody answers, and a door that opens again."""

from __future__ import annotations

import errno
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import Any
from unittest import mock

import pytest

from pytest_imds import ImdsPortError, ImdsUsageError, door
from pytest_imds.bodies import Held
from pytest_imds.clock import Clock
from pytest_imds.listener import Answer, Listener

TIMEOUT_S = 5.0
UNANSWERED_S = 0.1
OPEN_FILES = Path("/proc/self/fd")
KINDS: tuple[door.Kind, door.Kind] = ("refused", "unanswered")
ASKED = b"GET / HTTP/1.1\r\nHost: imds\r\n\r\n"
HELLO: Answer = ([b"hello"], "200 OK", [("Content-Length", "5")])

both_kinds = pytest.mark.parametrize("kind", KINDS)


class Greeter:
    """An owner that greets, or does what the test says."""

    trap = None

    def __init__(self, does: Callable[[], Answer] = lambda: HELLO) -> None:
        self.does = does
        self.problems: SimpleQueue[BaseException] = SimpleQueue()

    def answer(self, environ: dict[str, Any]) -> Answer:
        return self.does()

    def refusal(self, error: str, peer: tuple[str, int]) -> bytes:
        raise AssertionError(error)

    def report(self, problem: BaseException, request: str) -> None:
        self.problems.put(problem)


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    listener.attach(Greeter())
    yield listener
    listener.shutdown()


def never() -> bool:
    return False


def asking(listener: Listener, timeout_s: float = TIMEOUT_S) -> socket.socket:
    """Connect and ask; it is the connecting that may take ``timeout_s``."""
    client = socket.create_connection(("127.0.0.1", listener.port), timeout=timeout_s)
    client.settimeout(TIMEOUT_S)
    with suppress(ConnectionError):  # who is reset sees so when the reply is read
        client.sendall(ASKED)
    return client


def meets(listener: Listener) -> str:
    """Say what a new client meets; a reply is one part."""
    client = None
    try:
        with asking(listener, UNANSWERED_S) as client:
            return client.recv(4096).rpartition(b"\r\n\r\n")[2].decode() or "closed"
    except ConnectionRefusedError:
        return "refused"
    except ConnectionError:
        return "reset"
    except TimeoutError:
        return "silent" if client else "unanswered"


def rest(client: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    return b"".join(iter(lambda: client.recv(4096), b""))


def test_refused_client_is_told_so_at_once(listener: Listener) -> None:
    listener.shut("refused", never)
    for _ in range(3):
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", listener.port)) == errno.ECONNREFUSED


def test_unanswered_clients_wait_until_their_time_is_up(listener: Listener) -> None:
    listener.shut("unanswered", never)
    before = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: meets(listener), range(8), timeout=30)) == ["unanswered"] * 8
    assert time.perf_counter() - before >= UNANSWERED_S


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(("kind", "code"), [("refused", 7), ("unanswered", 28)])
def test_curl_meets_the_same(listener: Listener, kind: door.Kind, code: int) -> None:
    def curl() -> subprocess.CompletedProcess[str]:
        command = ["curl", "-sS", "--noproxy", "*", "--connect-timeout", "0.2", f"http://127.0.0.1:{listener.port}/"]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    listener.shut(kind, never)
    assert curl().returncode == code
    listener.open()
    assert curl().stdout == "hello"


def test_door_goes_straight_from_one_kind_to_the_other_and_keeps_its_port(listener: Listener) -> None:
    port = listener.port
    for kind in (*KINDS, *KINDS, KINDS[1], KINDS[0], KINDS[0]):
        listener.shut(kind, never)
        assert meets(listener) == kind
        with pytest.raises(OSError, match="in use"), socket.socket() as other:
            other.bind(("127.0.0.1", port))
    listener.open()
    listener.open()
    assert meets(listener) == "hello"
    assert (listener.port, listener.socket.getsockname()) == (port, ("127.0.0.1", port))


def test_who_connects_right_after_the_door_was_opened_is_served_at_once(listener: Listener) -> None:
    took_s = []
    for turn in range(50):
        listener.shut(KINDS[turn % 2], never)
        before = time.perf_counter()
        listener.open()
        assert meets(listener) == "hello"
        took_s.append(time.perf_counter() - before)
    assert median(took_s) < 0.005


@both_kinds
def test_kept_connection_is_closed(listener: Listener, kind: door.Kind) -> None:
    with asking(listener) as kept:
        assert kept.recv(4096).endswith(b"hello")
        listener.shut(kind, never)
        assert rest(kept) == b""


@both_kinds
@pytest.mark.parametrize("reply", ["being made", "held back", "of the thread that shuts"])
def test_reply_goes_out_and_then_the_connection_is_closed(listener: Listener, kind: door.Kind, reply: str) -> None:
    clock, entered, released = Clock(), threading.Event(), threading.Event()

    def slow() -> Answer:
        if reply == "of the thread that shuts":
            listener.shut(kind, never)
        entered.set()
        if reply == "held back":
            return Held(clock, clock.time() + 60, lambda: HELLO), "200 OK", []
        assert released.wait(TIMEOUT_S)
        return HELLO

    listener.attach(Greeter(slow))
    with asking(listener) as client:
        assert entered.wait(TIMEOUT_S)
        if reply != "of the thread that shuts":
            listener.shut(kind, never)
        released.set()
        clock.advance(60)
        assert rest(client).endswith(b"hello")
    assert meets(listener) == kind


@both_kinds
def test_door_opens_when_it_may_and_asks_only_now_and_then(listener: Listener, kind: door.Kind) -> None:
    asked_at: list[float] = []
    reached = threading.Event()

    def may_open() -> bool:
        asked_at.append(time.perf_counter())
        if len(asked_at) == 10:
            reached.set()
        return reached.is_set()

    listener.shut(kind, may_open)
    assert reached.wait(TIMEOUT_S)
    while (met := meets(listener)) == kind:
        assert time.perf_counter() < asked_at[9] + TIMEOUT_S
    assert (met, len(asked_at)) == ("hello", 10)
    assert median(later - earlier for earlier, later in pairwise(asked_at)) >= 0.004


def test_former_condition_does_not_open_a_door_that_was_shut_anew(listener: Listener) -> None:
    entered, released, asked = (threading.Semaphore(0) for _ in range(3))

    def former() -> bool:
        entered.release()
        return released.acquire(timeout=TIMEOUT_S)

    listener.shut("refused", former)
    assert entered.acquire(timeout=TIMEOUT_S)
    listener.shut("refused", lambda: asked.release() is not None)  # type: ignore[func-returns-value]
    released.release()
    assert asked.acquire(timeout=TIMEOUT_S)
    assert meets(listener) == "refused"


def test_condition_that_fails_is_reported_and_opens_the_door(listener: Listener) -> None:
    greeter = Greeter()
    listener.attach(greeter)
    listener.shut("refused", lambda: 1 / 0 > 0)
    assert isinstance(greeter.problems.get(timeout=TIMEOUT_S), ZeroDivisionError)
    listener.open()  # or the thread that accepts has been quicker
    assert (meets(listener), greeter.problems.empty()) == ("hello", True)


@both_kinds
def test_next_owner_finds_the_door_open(listener: Listener, kind: door.Kind) -> None:
    took_s = []
    for _ in range(5):
        listener.shut(kind, never)
        before = time.perf_counter()
        assert listener.detach() == []
        took_s.append(time.perf_counter() - before)
        listener.shut(kind, never)  # by a thread that has outlived its test
        listener.attach(Greeter())
        assert meets(listener) == "hello"
    assert min(took_s) < 0.010


@both_kinds
def test_shutdown_takes_no_time_and_leaves_no_thread(kind: door.Kind) -> None:
    threads, took_s = set(threading.enumerate()), []
    for _ in range(5):
        listener = Listener()
        listener.attach(Greeter())
        listener.shut(kind, never)
        before = time.perf_counter()
        assert listener.shutdown() == []
        took_s.append(time.perf_counter() - before)
        assert meets(listener) == "refused"
    for thread in set(threading.enumerate()) - threads:
        thread.join(TIMEOUT_S)
    assert set(threading.enumerate()) <= threads
    assert min(took_s) < 0.010


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="open files are counted as Linux lists them")
def test_threads_that_open_and_shut_at_once_leave_a_door_that_works_and_nothing_else(listener: Listener) -> None:
    def turns(which: int) -> None:
        for turn in range(50):
            listener.shut(KINDS[(turn + which) % 2], [never, lambda: True][turn % 2])
            listener.open()

    open_before = len(list(OPEN_FILES.iterdir()))
    with ThreadPoolExecutor(4) as pool:
        shutting = [pool.submit(turns, which) for which in range(4)]
        met = {meets(listener) for _ in iter(lambda: all(done.done() for done in shutting), True)}
        for done in shutting:
            done.result(TIMEOUT_S)
    assert met <= {"hello", "closed", "reset", *KINDS}
    assert meets(listener) == "hello"
    deadline = time.perf_counter() + TIMEOUT_S
    while len(list(OPEN_FILES.iterdir())) > open_before:  # the last connection is closed by another thread
        assert time.perf_counter() < deadline


@both_kinds
def test_child_process_that_has_inherited_the_socket_is_no_open_door(listener: Listener, kind: door.Kind) -> None:
    inherited = [listener.socket.fileno()]
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=inherited) as child:
        listener.shut(kind, never)
        assert meets(listener) == kind
        listener.open()
        assert meets(listener) == "hello"
        child.communicate(b"\n", timeout=30)


def test_socket_that_is_not_left_is_told_and_the_door_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "LEAVES_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stuck = door.Door(listening, backlog=5)
        stuck.until = never
        with pytest.raises(ImdsUsageError, match=f"port {listening.getsockname()[1]} is not possible"):
            stuck.shut("refused")
        assert stuck.until is None
        socket.create_connection(listening.getsockname(), timeout=TIMEOUT_S).close()


def test_port_that_somebody_else_has_taken_is_told(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "bind", mock.Mock(side_effect=OSError(errno.EADDRINUSE, "in use")))
    with pytest.raises(ImdsPortError, match=f"cannot listen on 127.0.0.1:{listener.port}"):
        listener.shut("refused", never)
    assert not listener.alive
