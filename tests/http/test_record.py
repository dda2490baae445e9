"""The record of requests: what it says of each, when it says it, and that it has a bound."""

from __future__ import annotations

import json
from datetime import timezone
from threading import Event, Thread
from urllib import request as urllib

import pytest
from werkzeug import Request, Response

from pytest_imds import Clock, Exchange, ImdsServer
from pytest_imds.traffic import record
from pytest_imds.traffic.exchange import KEPT_BODY
from tests.http.wire import INSTANCE, Wire, fetch, request

TOKEN = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net"


def only(server: ImdsServer) -> Exchange:
    """Return the one request that has arrived."""
    (exchange,) = server.requests
    return exchange


def wait_for_reply(server: ImdsServer) -> int:
    """Ask with a client that virtual time sees waiting, which a ``Wire`` is not."""
    asked = urllib.Request(server.url + INSTANCE, headers={"Metadata": "true"})
    with urllib.urlopen(asked, timeout=30) as reply:
        reply.read()
        return int(reply.status)


def test_it_has_what_was_asked_and_answered(imds_server: ImdsServer) -> None:
    before = imds_server.clock.now
    with Wire(imds_server) as wire:
        wire.send(request(f"{INSTANCE}&format=json&n=%41", headers=[("Metadata", "true"), ("User-Agent", "agent/1")]))
        reply = wire.reply()
        peer = wire.socket.getsockname()
    exchange = only(imds_server)

    assert (exchange.number, exchange.peer, exchange.proxied) == (1, peer, False)
    assert (exchange.method, exchange.path) == ("GET", "/metadata/instance")
    assert exchange.line == f"GET {INSTANCE}&format=json&n=%41"
    assert exchange.query == {"api-version": "2021-02-01", "format": "json", "n": "A"}
    assert (exchange.headers["metadata"], exchange.headers["user-agent"]) == ("true", "agent/1")
    assert (exchange.status, exchange.reply, exchange.bytes_sent) == (200, reply.body, len(reply.body))
    assert exchange.reply_headers == {name.lower(): value for name, value in reply.headers}
    assert exchange.faults == ()
    assert exchange.time.tzinfo is timezone.utc
    assert before <= exchange.time <= imds_server.clock.now
    assert exchange.duration_s is not None
    assert 0 <= exchange.duration_s < 5


def test_it_is_in_the_order_of_arrival_and_numbered(imds_server: ImdsServer) -> None:
    for target in (INSTANCE, "/metadata/versions", TOKEN):
        fetch(imds_server, target)
    assert [(one.number, one.path) for one in imds_server.requests] == [
        (1, "/metadata/instance"),
        (2, "/metadata/versions"),
        (3, "/metadata/identity/oauth2/token"),
    ]
    assert [one.at_s for one in imds_server.requests] == sorted(one.at_s for one in imds_server.requests)


def test_a_body_that_was_sent_is_there(imds_server: ImdsServer) -> None:
    sent = json.dumps({"StartRequests": [{"EventId": "none"}]}).encode()
    with Wire(imds_server) as wire:
        wire.send(request("/metadata/scheduledevents?api-version=2020-07-01", method="POST", body=sent,
                          headers=[("Metadata", "true"), ("Content-Length", str(len(sent)))]))  # fmt: skip
        wire.reply()
    assert (only(imds_server).method, only(imds_server).body) == ("POST", sent)


def test_its_time_is_that_of_the_test(imds_server: ImdsServer, imds_clock: Clock) -> None:
    imds_server.faults.latency(3, times=1)
    wait_for_reply(imds_server)
    imds_clock.advance(600)
    fetch(imds_server, INSTANCE)
    late, prompt = imds_server.requests

    assert late.duration_s == pytest.approx(3, abs=1)
    assert prompt.at_s - late.at_s == pytest.approx(603, abs=1)
    assert (prompt.time - late.time).total_seconds() == pytest.approx(prompt.at_s - late.at_s, abs=0.001)
    assert prompt.duration_s == pytest.approx(0, abs=1)


def test_the_faults_that_hit_a_request_are_there(imds_server: ImdsServer) -> None:
    imds_server.faults.gone(times=1)
    imds_server.faults.latency(0.001)
    first, second = (fetch(imds_server, INSTANCE).status for _ in range(2))

    assert [(one.status, one.faults) for one in imds_server.requests] == [
        (first, ("gone", "latency")),
        (second, ("latency",)),
    ]
    assert (first, second) == (410, 200)


def test_what_a_fault_hides_from_the_service_the_client_has_sent(imds_server: ImdsServer) -> None:
    imds_server.faults.missing_header(times=1)
    fetch(imds_server, INSTANCE)
    assert (only(imds_server).status, only(imds_server).headers["metadata"]) == (400, "true")


def test_a_request_is_there_before_it_is_answered(imds_server: ImdsServer) -> None:
    arrived, go_on = Event(), Event()

    def slow(asked: Request) -> Response:
        arrived.set()
        assert go_on.wait(5)
        return Response("at last")

    imds_server.expect_request("/metadata/instance").respond_with_handler(slow)
    client = Thread(target=fetch, args=(imds_server, INSTANCE))
    client.start()
    assert arrived.wait(5)
    waiting = only(imds_server)
    go_on.set()
    client.join()

    assert (waiting.status, waiting.duration_s, waiting.bytes_sent) == (None, None, 0)
    assert (only(imds_server).status, only(imds_server).reply) == (200, b"at last")


def test_a_client_that_has_its_answer_finds_it_in_the_record(imds_server: ImdsServer) -> None:
    with Wire(imds_server) as wire:
        for number in range(1, 51):
            wire.send(request("/metadata/versions"))
            wire.reply()
            assert (imds_server.requests[-1].number, imds_server.requests[-1].status) == (number, 200)


def test_a_reply_that_takes_its_time_has_left_with_its_last_byte(imds_server: ImdsServer, imds_clock: Clock) -> None:
    imds_server.faults.dribble(chunks=3, over=4)
    assert wait_for_reply(imds_server) == 200
    assert only(imds_server).duration_s == pytest.approx(4, abs=1)


def test_what_is_sent_for_a_blackhole_is_nothing(imds_server: ImdsServer) -> None:
    imds_server.faults.blackhole()
    with Wire(imds_server) as wire:
        wire.send(request(INSTANCE))
        wire.ends_sending()
        assert wire.rest() == b""
    assert (only(imds_server).status, only(imds_server).faults) == (None, ("blackhole",))


def test_a_reply_of_a_handler_of_the_test_is_there(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/text").respond_with_data("plain", status=203)
    imds_server.expect_request("/parts").respond_with_handler(lambda _: Response(iter(["one ", "two"])))
    for target in ("/text", "/parts"):
        fetch_all(imds_server, target)
    assert [(one.status, one.reply, one.bytes_sent) for one in imds_server.requests] == [
        (203, b"plain", 5),
        (200, b"one two", 7),
    ]


def test_a_reply_to_head_has_no_body(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/text").respond_with_data("plain")
    fetch(imds_server, "/text", method="HEAD")
    assert (only(imds_server).status, only(imds_server).reply, only(imds_server).bytes_sent) == (200, b"", 0)


def test_a_handler_that_fails_has_answered_500(imds_server: ImdsServer) -> None:
    def failing(asked: Request) -> Response:
        raise LookupError("out of order")

    imds_server.expect_request("/own").respond_with_handler(failing)
    reply = fetch(imds_server, "/own")
    with pytest.raises(LookupError):
        imds_server.check_handler_errors()

    assert (only(imds_server).status, only(imds_server).reply) == (500, reply.body)
    assert imds_server.log == []


def test_what_is_no_http_is_there_too(imds_server: ImdsServer) -> None:
    with Wire(imds_server) as wire:
        wire.send(b"\x16\x03\x01 hello\r\n\r\n")
        wire.ends_sending()
        _, _, body = wire.rest().partition(b"\r\n\r\n")
        peer = wire.socket.getsockname()
    exchange = only(imds_server)
    assert (exchange.line, exchange.method, exchange.target) == ("no HTTP request", "", "")
    assert (exchange.status, exchange.peer) == (400, peer)
    assert (exchange.reply, exchange.bytes_sent) == (body, len(body))


def test_a_target_does_nothing_to_a_terminal(imds_server: ImdsServer) -> None:
    fetch(imds_server, "/metadata/\x9b31m?a=\xfc")
    assert only(imds_server).line == "GET /metadata/\\x9b31m?a=\\xfc"


def test_it_begins_anew_when_the_log_is_cleared(imds_server: ImdsServer) -> None:
    fetch(imds_server, INSTANCE)
    imds_server.clear_log()
    fetch(imds_server, "/metadata/versions")
    assert [(one.number, one.path) for one in imds_server.requests] == [(1, "/metadata/versions")]
    assert [asked.path for asked, _ in imds_server.log] == ["/metadata/versions"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "KEPT", 5)
    monkeypatch.setattr(record, "KEPT_BYTES", 40_000)


@pytest.mark.usefixtures("small")
def test_a_client_in_a_loop_leaves_its_last_requests(imds_server: ImdsServer) -> None:
    for number in range(12):
        fetch(imds_server, f"/metadata/versions?n={number}")

    assert [one.number for one in imds_server.requests] == [8, 9, 10, 11, 12]
    assert [one.query["n"] for one in imds_server.requests] == ["7", "8", "9", "10", "11"]
    assert imds_server.record.dropped == 7
    assert len(imds_server.log) == 5


@pytest.mark.usefixtures("small")
def test_none_is_missing_of_a_record_that_was_cleared(imds_server: ImdsServer) -> None:
    for _ in range(7):
        fetch(imds_server, INSTANCE)
    imds_server.clear_log()
    fetch(imds_server, INSTANCE)
    assert imds_server.record.dropped == 0
    imds_server.assert_requested("*", times=1)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("where", ["sent", "received", "header"])
def test_large_bodies_and_heads_leave_fewer(imds_server: ImdsServer, where: str) -> None:
    imds_server.expect_request("/large").respond_with_data("x" * (15_000 if where == "received" else 1))
    body = b"y" * (15_000 if where == "sent" else 1)
    headers = [("Content-Length", str(len(body))), ("X-Large", "z" * (15_000 if where == "header" else 1))]
    for _ in range(4):
        with Wire(imds_server) as wire:
            wire.send(request("/large", method="POST", headers=headers, body=body))
            wire.reply()

    assert [one.number for one in imds_server.requests] == [3, 4]
    assert imds_server.record.dropped == 2


@pytest.mark.usefixtures("small")
def test_one_that_is_too_large_alone_is_kept_until_the_next(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/large").respond_with_data("x" * 100_000)
    fetch(imds_server, "/large")
    exchange = only(imds_server)
    assert (len(exchange.reply), exchange.bytes_sent) == (KEPT_BODY, 100_000)
    fetch(imds_server, "/metadata/versions")
    assert [one.path for one in imds_server.requests][-1] == "/metadata/versions"


def test_a_body_is_kept_as_far_as_it_is_of_use(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/parts").respond_with_handler(lambda _: Response(iter(["x" * 10_000] * 100)))
    with Wire(imds_server) as wire:
        wire.send(request("/parts", method="POST", headers=[("Content-Length", "20000")], body=b"y" * 20_000))
        wire.ends_sending()
        wire.rest()
    exchange = only(imds_server)
    assert (len(exchange.body), len(exchange.reply), exchange.bytes_sent) == (KEPT_BODY, KEPT_BODY, 1_000_000)


def test_what_was_asserted_is_given_back(imds_server: ImdsServer) -> None:
    for target in (INSTANCE, TOKEN, f"{INSTANCE}&format=text"):
        fetch(imds_server, target)
    found = imds_server.assert_requested("/metadata/instance*", times=2)
    assert [one.number for one in found] == [1, 3]
    assert imds_server.assert_requested("/metadata/*", query={"format": "text"})[0].number == 3
    imds_server.assert_not_requested("/metadata/attested/*")
    imds_server.assert_not_requested("/metadata/instance", query={"format": "xml"})


def test_what_came_earlier_does_not_count(imds_server: ImdsServer) -> None:
    fetch(imds_server, INSTANCE)
    moment = imds_server.clock.now
    imds_server.assert_not_requested("/metadata/instance", since=moment)
    fetch(imds_server, INSTANCE)
    imds_server.assert_requested("/metadata/instance", times=1, since=moment)
    imds_server.assert_requested("/metadata/instance", times=2)


def test_an_assertion_that_fails_shows_what_came_near(imds_server: ImdsServer) -> None:
    fetch(imds_server, INSTANCE)
    with pytest.raises(AssertionError) as failed:
        imds_server.assert_requested("/metadata/instance", query={"api-version": "2025-04-07"})
    first, _, request_line, why = str(failed.value).splitlines()
    assert first == "/metadata/instance with api-version=2025-04-07 was requested 0 times, expected once or more"
    assert request_line.startswith(f"    #1 GET {INSTANCE} at 0.")
    assert request_line.endswith(" s: 200")
    assert why == "      api-version: 2021-02-01 is not 2025-04-07"


def fetch_all(server: ImdsServer, target: str) -> bytes:
    """Ask for what may come without a length."""
    with Wire(server) as wire:
        wire.send(request(target))
        wire.ends_sending()
        return wire.rest()
