"""The first request for scheduled events turns them on, which takes its time; that is the service's, not the test's."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from email.utils import parsedate_to_datetime
from select import select

import pytest

from pytest_imds import ImdsServer
from pytest_imds.factory import ServerFactory
from tests.http.events import EVENTS, NEWEST, NOTHING, PATH, approval, get, post
from tests.http.wire import INSTANCE, TIMEOUT_S, Reply, Wire, fetch, request

TARGET = f"{PATH}?api-version={NEWEST}"
OFF_AFTER_S: int = EVENTS["first-call"]["off_after_s"]
# How long a client listens before it takes a request for held.
LISTENS_S = 0.03


def silent(*wires: Wire) -> bool:
    """Whether nothing comes."""
    return not select([wire.socket for wire in wires], [], [], LISTENS_S)[0]


def arrived(server: ImdsServer, count: int) -> None:
    """Wait until the service has taken note of as many requests."""
    deadline = time.monotonic() + TIMEOUT_S
    while len(server.log) < count:
        assert time.monotonic() < deadline, f"{len(server.log)} requests instead of {count}"
        time.sleep(0.001)  # the server's thread has its turn


def asks(server: ImdsServer, wire: Wire) -> Wire:
    """Send a request for the events."""
    before = len(server.log)
    wire.send(request(TARGET))
    arrived(server, before + 1)
    return wire


def at_once(server: ImdsServer) -> bool:
    """Whether a request is answered now; if not, its client gives up."""
    with Wire(server) as wire:
        return not silent(asks(server, wire))


@pytest.fixture
def slow(imds_server: ImdsServer) -> ImdsServer:
    """A server whose events take two minutes to be turned on."""
    imds_server.events.first_call_s = 120
    return imds_server


def test_the_first_request_is_answered_at_once_unless_asked_otherwise(imds_server: ImdsServer) -> None:
    assert imds_server.events.first_call_s == 0
    assert get(imds_server).body == NOTHING


def test_the_first_request_is_held_until_the_service_is_on(slow: ImdsServer) -> None:
    with Wire(slow) as wire:
        assert silent(asks(slow, wire))
        slow.clock.advance(100)
        assert silent(wire)
        slow.clock.advance(20)
        assert wire.reply().told == (200, "application/json; charset=utf-8", NOTHING)


def test_a_held_reply_is_empty_in_the_log(slow: ImdsServer) -> None:
    with Wire(slow) as wire:
        asks(slow, wire)
        ((_, response),) = slow.log

        assert (response.status_code, response.data) == (200, b"")


def test_a_client_in_a_thread_waits_for_the_clock(slow: ImdsServer) -> None:
    replies: list[Reply] = []

    def ask() -> None:
        with Wire(slow) as wire:
            wire.send(request(TARGET))
            replies.append(wire.reply())

    client = threading.Thread(target=ask, daemon=True)
    client.start()
    arrived(slow, 1)
    assert (client.is_alive(), replies) == (True, [])
    slow.clock.advance(120)
    client.join(TIMEOUT_S)
    assert [reply.body for reply in replies] == [NOTHING]


def test_the_machines_time_counts_as_well(imds_server: ImdsServer) -> None:
    imds_server.events.first_call_s = 0.05
    with Wire(imds_server) as wire:
        began = time.monotonic()
        wire.send(request(TARGET))
        assert wire.reply().body == NOTHING
        assert 0.05 <= time.monotonic() - began < 2


def test_requests_that_come_meanwhile_wait_as_long(slow: ImdsServer) -> None:
    with Wire(slow) as first, Wire(slow) as second:
        asks(slow, first)
        slow.clock.advance(60)
        assert silent(first, asks(slow, second))
        slow.clock.advance(60)
        assert [wire.reply().body for wire in (first, second)] == [NOTHING, NOTHING]


def test_later_requests_are_answered_at_once(slow: ImdsServer) -> None:
    with Wire(slow) as wire:
        asks(slow, wire)
        slow.clock.advance(120)
        assert wire.reply().status == 200
        # The same connection goes on.
        assert asks(slow, wire).reply().body == NOTHING
    assert get(slow).body == NOTHING


def test_other_paths_and_approvals_are_not_held(slow: ImdsServer) -> None:
    event = slow.events.schedule("Reboot")
    with Wire(slow) as wire:
        asks(slow, wire)
        assert fetch(slow, INSTANCE).status == 200
        assert post(slow, approval(event.event_id)).status == 200
        assert silent(wire)
    assert event.approved


def test_refusals_are_not_held_and_do_not_turn_it_on(slow: ImdsServer) -> None:
    assert get(slow, headers=[]).status == 400
    assert get(slow, "2000-01-01").status == 404
    assert post(slow, b"").status == 400
    slow.clock.advance(120)

    assert not at_once(slow)


def test_another_vm_of_the_fleet_is_turned_on_by_itself(make_imds_server: ServerFactory) -> None:
    one, other = make_imds_server("scale-set", count=2)
    one.events.first_call_s = 120
    with Wire(one) as wire:
        assert silent(asks(one, wire))
        assert get(other).body == NOTHING
        assert silent(wire)
        other.clock.advance(120)
        assert wire.reply().body == NOTHING


def test_an_empty_body_is_held_like_any_other(slow: ImdsServer) -> None:
    slow.events.empty_body = True
    with Wire(slow) as wire:
        assert silent(asks(slow, wire))
        slow.clock.advance(120)
        assert wire.reply().told == (200, "application/json; charset=utf-8", b"")


def test_a_held_reply_tells_how_things_stand_when_it_goes_out(slow: ImdsServer) -> None:
    with Wire(slow) as wire:
        asks(slow, wire)
        event = slow.events.schedule("Preempt")
        slow.clock.advance(120)
        held, now = wire.reply(), get(slow)

    assert event.status == "Started"
    assert json.loads(held.body) == json.loads(now.body)
    dates = [parsedate_to_datetime(str(reply.header("Date"))) for reply in (held, now)]
    assert dates[1] - dates[0] <= timedelta(seconds=5)


def test_after_a_day_without_a_request_it_is_off_again(slow: ImdsServer) -> None:
    assert not at_once(slow)
    slow.clock.advance(OFF_AFTER_S - 100)
    assert at_once(slow)
    slow.clock.advance(OFF_AFTER_S - 100)
    assert at_once(slow)
    slow.clock.advance(OFF_AFTER_S + 1)
    assert not at_once(slow)
    slow.clock.advance(120)
    assert at_once(slow)


def test_a_day_is_counted_from_the_last_request_even_while_it_is_held(slow: ImdsServer) -> None:
    slow.events.first_call_s = OFF_AFTER_S
    with Wire(slow) as first, Wire(slow) as second:
        asks(slow, first)
        slow.clock.advance(OFF_AFTER_S - 100)
        asks(slow, second)
        slow.clock.advance(100)
        assert [wire.reply().body for wire in (first, second)] == [NOTHING, NOTHING]


def closes(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_RDWR)


def resets(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("goes", [closes, resets])
def test_a_client_that_gives_up_is_no_problem(goes: Callable[[socket.socket], None]) -> None:
    with ImdsServer() as server:
        server.events.first_call_s = 120
        with Wire(server) as wire:
            asks(server, wire)
            goes(wire.socket)
        server.clock.advance(120)
        # What went wrong inside would be raised at the end of this block.
        assert get(server).body == NOTHING


@pytest.mark.parametrize("sent_meanwhile", [b"", request(TARGET), b"\r\n"], ids=["nothing", "a request", "a line"])
def test_the_end_of_a_test_does_not_wait_for_a_held_request(sent_meanwhile: bytes) -> None:
    with ImdsServer() as server:
        server.events.first_call_s = 120
        with Wire(server) as wire:
            wire.send(request(TARGET))
            arrived(server, 1)
            wire.send(sent_meanwhile)
            assert silent(wire)
            began = time.monotonic()
            server.stop()
            assert time.monotonic() - began < 0.5
            assert wire.rest() == b""
