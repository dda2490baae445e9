"""What is told of a request, before its reply leaves."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from time import monotonic

import pytest
from werkzeug import Request, Response

from pytest_imds.command.telling import TellingServer
from pytest_imds.faults.script import RANDOM_BYTES
from pytest_imds.traffic.exchange import Exchange
from tests.http.wire import INSTANCE, Wire, fetch, request

ASKED = request(INSTANCE)
Told = tuple[str, str, "int | None", int, tuple[str, ...]]


class Heard:
    """A server, and what it has told."""

    def __init__(self) -> None:
        self.answers: list[Told] = []
        self.complaints: list[str] = []
        self.times: list[float] = []
        self.server = TellingServer(self._hear, self.complaints.append)

    def _hear(self, told: Exchange) -> None:
        self.times.append(monotonic())
        self.answers.append((told.method, told.target, told.status, told.bytes_sent, told.faults))


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard = Heard()
    with heard.server:
        yield heard


def sent(heard: Heard, asked: bytes = ASKED) -> bytes:
    """Send a request; return all that comes."""
    with Wire(heard.server) as wire:
        wire.send(asked)
        wire.ends_sending()
        return wire.rest()


def test_a_request_is_told_before_its_reply_comes(heard: Heard) -> None:
    reply = fetch(heard.server, INSTANCE)

    assert heard.answers == [("GET", INSTANCE, 200, len(reply.body), ())]


def test_the_fault_that_broke_a_request_is_told(heard: Heard) -> None:
    heard.server.faults.gone(times=1)
    gone, good = fetch(heard.server, INSTANCE), fetch(heard.server, INSTANCE)

    assert heard.answers == [
        ("GET", INSTANCE, 410, len(gone.body), ("gone",)),
        ("GET", INSTANCE, 200, len(good.body), ()),
    ]


def test_a_reply_that_is_held_back_is_told_when_it_is_made(heard: Heard) -> None:
    heard.server.faults.latency(0.1)
    heard.server.faults.server_error()
    before = monotonic()
    reply = fetch(heard.server, INSTANCE)

    assert heard.answers == [("GET", INSTANCE, 500, len(reply.body), ("latency", "server_error"))]
    assert heard.times[0] - before >= 0.1


def test_what_leaves_is_told_where_the_reply_is_cut(heard: Heard) -> None:
    heard.server.faults.truncated(bytes=7)
    head, _, body = sent(heard).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 ")
    assert heard.answers == [("GET", INSTANCE, 200, len(body), ("truncated",))]
    assert len(body) == 7


def test_what_leaves_late_and_in_pieces_is_told_once(heard: Heard) -> None:
    heard.server.faults.latency(0.01)
    heard.server.faults.dribble(chunks=3, over=0.03)
    _, _, body = sent(heard).partition(b"\r\n\r\n")

    assert heard.answers == [("GET", INSTANCE, 200, len(body), ("latency", "dribble"))]


def test_a_reply_of_which_nothing_leaves_has_no_status(heard: Heard) -> None:
    heard.server.faults.empty_response()

    assert sent(heard) == b""
    assert heard.answers == [("GET", INSTANCE, None, 0, ("empty_response",))]


def test_what_is_no_http_has_no_status(heard: Heard) -> None:
    heard.server.faults.random_data()

    assert len(sent(heard)) == RANDOM_BYTES
    assert heard.answers == [("GET", INSTANCE, None, RANDOM_BYTES, ("random_data",))]


def test_a_reply_to_head_has_no_bytes(heard: Heard) -> None:
    reply = fetch(heard.server, INSTANCE, method="HEAD")

    assert heard.answers == [("HEAD", INSTANCE, reply.status, 0, ())]
    assert reply.body == b""


def test_what_is_refused_before_it_is_http_is_told(heard: Heard) -> None:
    head, _, body = sent(heard, b"no HTTP at all\r\n\r\n").partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert heard.answers == [("", "", 400, len(body), ())]


def test_a_request_that_breaks_off_is_told(heard: Heard) -> None:
    asked = request("/metadata/scheduledevents", method="POST", headers=[("Content-Length", "9")], body=b"1234")
    head, _, body = sent(heard, asked).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert heard.answers == [("POST", "/metadata/scheduledevents", 400, len(body), ())]


def test_a_byte_that_might_do_something_to_a_terminal_is_told_in_letters(heard: Heard) -> None:
    fetch(heard.server, "/\x9b31m")

    assert heard.answers[0][1] == "/\\x9b31m"


def test_the_fault_of_another_request_is_not_told(heard: Heard) -> None:
    """While the first is answered, an equal one comes that is broken."""
    heard.server.faults.gone(after=1, times=1)
    second = Thread(target=fetch, args=(heard.server, INSTANCE))

    def slow(asked: Request) -> Response:
        second.start()
        second.join(0.2)
        return Response("slow")

    heard.server.expect_oneshot_request("/metadata/instance").respond_with_handler(slow)
    fetch(heard.server, INSTANCE)
    second.join()

    assert sorted(told[2:3] + told[4:] for told in heard.answers) == [(200, ()), (410, ("gone",))]


def test_what_goes_wrong_inside_is_told_with_the_request_that_met_it(heard: Heard) -> None:
    def failing(asked: Request) -> Response:
        raise LookupError("out of order")

    heard.server.expect_request("/metadata/instance").respond_with_handler(failing)

    reply = fetch(heard.server, INSTANCE)

    assert heard.answers == [("GET", INSTANCE, 500, len(reply.body), ())]
    assert heard.complaints[0].startswith(f"while it answered GET {INSTANCE}:\nTraceback ")
    assert heard.complaints[0].endswith("LookupError: out of order")
    heard.server.clear_handler_errors()
