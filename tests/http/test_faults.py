"""Faults that answer: what a client gets over a connection, which requests are broken, and who else might answer."""

from __future__ import annotations

import re
import time
from base64 import b64decode
from collections.abc import Mapping
from http import HTTPStatus
from select import select
from threading import Event
from typing import Any

import pytest
from werkzeug import Request, Response
from werkzeug.exceptions import NotFound

from pytest_imds import Fault, Faults, ImdsServer, ImdsServerError, data
from pytest_imds.faults.kinds import CLOUDS
from tests.http.wire import INSTANCE, METADATA, TIMEOUT_S, Wire, error, fetch, request

INFO = "/metadata/identity/info?api-version=2018-02-01"
TOKEN = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net"
FOREIGN: Mapping[str, Any] = data.read("foreign")
SENDERS: Mapping[str, Any] = data.read("senders")
# How long a client listens before it takes a reply for late.
LISTENS_S = 0.03


def asked(server: ImdsServer, *targets: str, method: str = "GET") -> list[int]:
    """Send requests over one connection, and return the statuses of the replies."""
    statuses = []
    with Wire(server) as wire:
        for target in targets:
            wire.send(request(target, method=method))
            statuses.append(wire.reply(method).status)
    return statuses


def as_sent(server: ImdsServer, sent: bytes) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return the status line, the headers and the body of a reply; headers may come twice."""
    with Wire(server) as wire:
        wire.send(sent)
        received = b""
        while b"\r\n\r\n" not in received:
            part = wire.socket.recv(65536)
            assert part, received
            received += part
        head, _, body = received.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        return line, [(name, value) for name, _, value in (one.partition(": ") for one in lines)], body


def late(server: ImdsServer, wire: Wire) -> bool:
    """Whether a request that has arrived is not answered."""
    deadline = time.monotonic() + TIMEOUT_S
    while not server.log:
        assert time.monotonic() < deadline
    return not select([wire.socket], [], [], LISTENS_S)[0]


@pytest.mark.parametrize(
    ("fault", "name", "target"),
    [
        (Fault("gone"), "gone", INSTANCE),
        (Fault("throttled"), "throttled", INSTANCE),
        (Fault("throttled"), "throttled-text", f"{INSTANCE}&format=text"),
        (Fault("throttled"), "loadbalancer-throttled", "/metadata/loadbalancer?api-version=2020-10-01"),
        (Fault("missing_header"), "header-missing", INSTANCE),
        (Fault("forwarded"), "forwarded", INSTANCE),
        (Fault("server_error"), "server-error", INSTANCE),
        (Fault("server_error", 503), "unavailable", INSTANCE),
        (Fault("not_found"), "not-there-yet", INSTANCE),
        (Fault("stale_identity"), "identity-not-found", TOKEN),
        (Fault("flapping", up=0, down=60), "unavailable", INSTANCE),
    ],
    ids=repr,
)
def test_a_refusal_is_the_error_of_the_data_and_the_connection_goes_on(
    imds_server: ImdsServer, imds_faults: Faults, fault: Fault, name: str, target: str
) -> None:
    fault.plan(imds_faults)
    with Wire(imds_server) as wire:
        wire.send(request(target))
        assert wire.reply().told == error(name)
        imds_faults.clear()
        wire.send(request(INSTANCE))
        assert wire.reply().status == 200
    assert [fired.fault for fired in imds_faults.fired] == [fault.name]


@pytest.mark.parametrize("fault", [Fault("gone"), Fault("throttled"), Fault("server_error", 503)], ids=repr)
def test_a_refusal_has_the_reason_of_its_status(imds_server: ImdsServer, imds_faults: Faults, fault: Fault) -> None:
    fault.plan(imds_faults)
    line, *_ = as_sent(imds_server, request(INSTANCE))
    status = int(line.split()[1])
    assert (line, status) == (f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", status)


@pytest.mark.parametrize(("retry_after", "header"), [(None, None), (0, "0"), (7, "7")])
def test_retry_after_is_sent_where_it_was_asked_for(
    imds_server: ImdsServer, imds_faults: Faults, retry_after: int | None, header: str | None
) -> None:
    imds_faults.throttled(retry_after=retry_after)
    assert fetch(imds_server, INSTANCE).header("Retry-After") == header


def test_the_client_has_sent_the_header_that_a_fault_takes_away(imds_server: ImdsServer, imds_faults: Faults) -> None:
    imds_faults.missing_header()
    assert asked(imds_server, INSTANCE) == [400]
    ((sent, response),) = imds_server.log
    assert (sent.headers["Metadata"], response.status_code) == ("true", 400)


def test_a_stale_document_has_the_nonce_of_the_request_before(imds_server: ImdsServer, imds_faults: Faults) -> None:
    imds_faults.stale_nonce(after=1)
    with Wire(imds_server) as wire:
        for nonce, signed in (("1111111111", b"1111111111"), ("2222222222", b"1111111111")):
            wire.send(request(f"/metadata/attested/document?api-version=2021-02-01&nonce={nonce}"))
            signature = re.search(rb'"signature":"([^"]+)"', wire.reply().body)
            assert signature is not None
            assert signed in b64decode(signature[1])


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"path": "/metadata/identity/*"}, [200, 500, 200, 500, 200, 500]),
        ({"path": "*/identity/*", "after": 1, "times": 1}, [200, 200, 200, 500, 200, 200]),
        ({"after": 2, "times": 3}, [200, 200, 500, 500, 500, 200]),
    ],
    ids=str,
)
def test_a_fault_breaks_the_requests_that_its_terms_say(
    imds_server: ImdsServer, imds_faults: Faults, terms: dict[str, Any], expected: list[int]
) -> None:
    imds_faults.server_error(**terms)
    assert asked(imds_server, *[INSTANCE, INFO] * 3) == expected


def test_a_window_is_a_time_of_the_service(imds_server: ImdsServer, imds_faults: Faults) -> None:
    imds_faults.gone(window=30)
    imds_server.clock.advance(60)
    assert asked(imds_server, INSTANCE) == [410]
    imds_server.clock.advance(28)
    assert asked(imds_server, INSTANCE) == [410]
    imds_server.clock.advance(2)
    assert asked(imds_server, INSTANCE) == [200]


def test_the_same_seed_breaks_the_same_requests() -> None:
    played = []
    for seed in (1, 1, 2):
        with ImdsServer(seed=seed) as server:
            server.faults.server_error(probability=0.5)
            played.append(asked(server, *[INSTANCE] * 30))
    assert played[0] == played[1] != played[2]


@pytest.mark.imds_fault("not_found")
@pytest.mark.imds_fault("gone", window=70, times=2)
@pytest.mark.imds_fault("throttled", requests=1)
def test_stacked_markers_apply_from_the_nearest_on(imds_server: ImdsServer) -> None:
    assert asked(imds_server, *[INSTANCE] * 5) == [429, 410, 410, 404, 404]


def test_latency_comes_together_with_another_fault(imds_server: ImdsServer, imds_faults: Faults) -> None:
    imds_faults.gone()
    imds_faults.latency(60)
    with Wire(imds_server) as wire:
        wire.send(request(INSTANCE))
        assert late(imds_server, wire)
        imds_server.clock.advance(60)
        assert wire.reply().told == error("gone")
    assert [fired.fault for fired in imds_faults.fired] == ["gone", "latency"]


def test_a_late_reply_is_right_when_it_comes_and_the_connection_goes_on(
    imds_server: ImdsServer, imds_faults: Faults
) -> None:
    plain = fetch(imds_server, INSTANCE).body
    imds_server.clear_log()
    imds_faults.latency(60, times=1)
    with Wire(imds_server) as wire:
        wire.send(request(INSTANCE))
        assert late(imds_server, wire)
        imds_server.clock.advance(59)
        assert late(imds_server, wire)
        imds_server.clock.advance(1)
        assert wire.reply().body == plain
        wire.send(request(INSTANCE))
        assert wire.reply().body == plain


def test_what_the_test_has_registered_is_broken_too(imds_server: ImdsServer, imds_faults: Faults) -> None:
    imds_server.expect_oneshot_request("/metadata/mine").respond_with_data("mine")
    imds_faults.server_error(times=1)
    assert asked(imds_server, "/metadata/mine", "/metadata/mine", "/metadata/mine") == [500, 200, 404]


def test_a_path_may_lead_elsewhere(imds_server: ImdsServer, imds_faults: Faults) -> None:
    imds_server.expect_request("/elsewhere").respond_with_data("elsewhere")
    imds_faults.server_error(times=1, path="/elsewhere")
    assert asked(imds_server, INSTANCE, "/elsewhere", "/elsewhere") == [200, 500, 200]


@pytest.mark.parametrize("fault", [Fault("latency", 0.01), Fault("truncated"), Fault("dribble", 2, 0.01)], ids=repr)
def test_a_response_of_the_test_is_closed_when_it_has_gone_out(imds_server: ImdsServer, fault: Fault) -> None:
    closed = Event()
    response = Response(iter(["mine", " in", " parts"]), headers=[("Content-Length", "13"), ("Connection", "close")])
    response.call_on_close(closed.set)
    imds_server.expect_request("/metadata/mine").respond_with_response(response)
    fault.plan(imds_server.faults)
    with Wire(imds_server) as wire:
        wire.send(request("/metadata/mine"))
        assert wire.head()[0] == 200
        assert b"mine in parts".startswith(wire.rest())
    assert closed.wait(0.5)


def test_a_handler_that_aborts_does_so_late_too(imds_server: ImdsServer, imds_faults: Faults) -> None:
    def aborts(_: Request) -> Response:
        raise NotFound

    imds_server.expect_request("/metadata/mine").respond_with_handler(aborts)
    imds_faults.latency(0.01)
    assert asked(imds_server, "/metadata/mine") == [404]
    with pytest.raises(ImdsServerError, match="NotFound"):
        imds_server.check()


def test_what_has_fired_is_told_with_its_request_and_time(imds_server: ImdsServer, imds_faults: Faults) -> None:
    imds_faults.gone(times=1)
    imds_faults.empty_response(path="/metadata/identity/*")
    imds_server.clock.advance(12)
    assert asked(imds_server, INSTANCE, INSTANCE) == [410, 200]
    with Wire(imds_server) as wire:
        wire.send(request(INFO))
        assert wire.rest() == b""
    fired = imds_faults.fired
    assert [one[:2] for one in fired] == [("gone", f"GET {INSTANCE}"), ("empty_response", f"GET {INFO}")]
    assert all(12 <= one.at_s < 14 for one in fired)


@pytest.mark.parametrize("who", FOREIGN)
def test_something_else_answers_to_the_last_byte(imds_server: ImdsServer, imds_faults: Faults, who: str) -> None:
    row, sender = FOREIGN[who], SENDERS[FOREIGN[who]["sender"]]
    (imds_faults.wrong_cloud if who in CLOUDS else imds_faults.wrong_service)(who)

    line, headers, body = as_sent(imds_server, request(INSTANCE))

    assert line == f"HTTP/1.1 {row['status']} {row.get('reason', HTTPStatus(row['status']).phrase)}"
    assert [name for name, _ in headers] == sender["headers"]
    assert sender.get("fixed", {}).items() <= dict(headers).items()
    assert body.decode() == row["body"]


@pytest.mark.parametrize(("fault", "closes"), [(Fault("wrong_cloud"), True), (Fault("wrong_cloud", "gcp"), False)])
def test_who_says_that_the_connection_is_closed_closes_it(
    imds_server: ImdsServer, imds_faults: Faults, fault: Fault, closes: bool
) -> None:
    fault.plan(imds_faults)
    with Wire(imds_server) as wire:
        wire.send(request(INSTANCE) * 2)
        wire.reply()
        assert (wire.rest() == b"") if closes else (wire.reply().status == 404)
    assert len(imds_server.log) == (1 if closes else 2)


def test_who_keeps_connections_does_not_keep_one_that_the_client_closes(
    imds_server: ImdsServer, imds_faults: Faults
) -> None:
    imds_faults.wrong_service("firecracker")
    _, headers, _ = as_sent(imds_server, request(INSTANCE, headers=[*METADATA, ("Connection", "close")]))
    assert [value for name, value in headers if name == "Connection"] == ["close"]


@pytest.mark.parametrize("fault", [Fault("gone"), Fault("wrong_cloud", "gcp"), Fault("wrong_content")], ids=repr)
def test_head_gets_the_head_alone(imds_server: ImdsServer, imds_faults: Faults, fault: Fault) -> None:
    fault.plan(imds_faults)
    with Wire(imds_server) as wire:
        wire.send(request(INSTANCE, method="HEAD") + request(INSTANCE))
        status, headers = wire.head()
        reply = wire.reply()
    assert (status, dict(headers)["Content-Length"]) == (reply.status, str(len(reply.body)))
