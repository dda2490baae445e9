"""Every fault by its name: what it answers, or how the bytes of the reply leave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from pytest_imds import Fault, Faults, data
from pytest_imds.faults.effects import Door
from pytest_imds.faults.faults import Broken
from pytest_imds.faults.kinds import KINDS
from pytest_imds.faults.script import End, Script
from pytest_imds.host import Host
from pytest_imds.service.message import Request
from tests import documents, hosts
from tests.faulty import Faulty, broken, reply
from tests.rows import assert_is

ERRORS: dict[str, Any] = data.read("errors")
FOREIGN: dict[str, Any] = data.read("foreign")
GOOD = Request("GET", "/metadata/instance", "api-version=2021-02-01", {"metadata": "true"})
TOKEN = replace(GOOD, path="/metadata/identity/oauth2/token", query=f"{GOOD.query}&resource=r")
ATTESTED = replace(GOOD, path="/metadata/attested/document")
BALANCER = replace(GOOD, path="/metadata/loadbalancer")
HEAD, BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", b"0123456789"

# The errors of the data by the faults that show them.
REFUSALS = {
    Fault("gone"): "gone",
    Fault("throttled"): "throttled",
    Fault("server_error"): "server-error",
    Fault("server_error", 503): "unavailable",
    Fault("not_found"): "not-there-yet",
    Fault("stale_identity"): "identity-not-found",
    Fault("flapping", up=0, down=1): "unavailable",
    Fault("missing_header"): "identity-header-missing",
    Fault("forwarded"): "forwarded",
}
# Those who answer in the place of IMDS.
OTHERS = {
    Fault("wrong_cloud"): "aws",
    Fault("wrong_cloud", "aws"): "aws",
    Fault("wrong_cloud", "gcp"): "gcp",
    Fault("wrong_service", "firecracker"): "firecracker",
    Fault("wrong_service", "docker-desktop"): "docker-desktop",
    Fault("wrong_service", "host"): "host",
    Fault("wrong_service", "captive-portal"): "captive-portal",
    Fault("wrong_service", "empty"): "empty",
    Fault("wrong_content"): "captive-portal",
}
# What leaves of HEAD and BODY, and how it ends.
WIRES = {
    Fault("blackhole"): (b"", End.SILENCE),
    Fault("reset"): (b"", End.RESET),
    Fault("reset", 3): (b"HTT", End.RESET),
    Fault("reset", after_bytes=len(HEAD) + 2): (HEAD + b"01", End.RESET),
    Fault("empty_response"): (b"", End.CLOSE),
    Fault("half_closed"): (b"", End.HALF_CLOSE),
    Fault("half_closed", len(HEAD)): (HEAD, End.HALF_CLOSE),
    Fault("truncated"): (HEAD + b"01234", End.CLOSE),
    Fault("truncated", bytes=0): (HEAD, End.CLOSE),
    Fault("truncated", 9): (HEAD + b"012345678", End.CLOSE),
    Fault("malformed_chunk"): (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\nnot a length\r\n",
        End.CLOSE,
    ),
    Fault("dribble"): (HEAD + BODY, End.KEEP),
}
DOORS = {Fault("refused"): "refused", Fault("connect_timeout"): "unanswered"}
# Those have tests of their own below.
ALONE = [Fault("stale_nonce"), Fault("latency", 2), Fault("random_data")]


def ids(faults: Any) -> list[str]:
    return [repr(fault) for fault in faults]


@pytest.fixture
def host() -> Iterator[Host]:
    made = hosts.host(documents.vm())
    yield made
    made.attestation.close()


@pytest.fixture
def faulty() -> Faulty:
    return Faulty()


@pytest.fixture
def faults(faulty: Faulty) -> Faults:
    return faulty.faults


def script(fault: Fault, seed: str = "seed") -> Script:
    """Return how the bytes of a reply leave."""
    faults = Faulty(seed).faults
    fault.plan(faults)
    writer = broken(faults, GOOD).writer
    assert writer is not None
    return writer(HEAD, BODY)


def sent(written: Script) -> bytes:
    return b"".join(piece.sent for piece in written.pieces)


def test_every_fault_is_tested_here() -> None:
    tested = [*REFUSALS, *OTHERS, *WIRES, *DOORS, *ALONE]

    assert {fault.name for fault in tested} == set(KINDS)


def test_every_foreign_answer_is_tested_here() -> None:
    assert set(OTHERS.values()) == FOREIGN.keys()


@pytest.mark.parametrize(
    "fault", [*REFUSALS, *OTHERS, *WIRES, *DOORS, *ALONE, Fault("throttled", requests=2, retry_after=7)], ids=repr
)
def test_what_is_told_of_a_fault_can_be_written_in_a_test(faulty: Faulty, fault: Fault) -> None:
    fault.plan(faulty.faults)
    (told,) = faulty.faults.idle()
    again = Faulty().faults
    eval(told, {name: getattr(again, name) for name in KINDS})

    assert again.idle() == [told]


@pytest.mark.parametrize(("fault", "error"), REFUSALS.items(), ids=ids(REFUSALS))
def test_a_refusal_is_the_error_of_the_data(faults: Faults, host: Host, fault: Fault, error: str) -> None:
    fault.plan(faults)

    assert_is(reply(faults, TOKEN, host), ERRORS[error])


@pytest.mark.parametrize(
    ("fault", "of_any"),
    [(Fault("throttled"), "throttled"), (Fault("server_error", 503), "unavailable"), (Fault("gone"), "gone")],
    ids=["throttled", "unavailable", "gone"],
)
@pytest.mark.parametrize("path", data.read("endpoints"))
def test_an_endpoint_refuses_in_its_own_words(faults: Faults, host: Host, fault: Fault, of_any: str, path: str) -> None:
    fault.plan(faults)
    own = data.read("endpoints")[path].get("errors", {}).get(of_any, of_any)

    assert_is(reply(faults, replace(GOOD, path=f"/metadata/{path}"), host), ERRORS[own])


def test_the_load_balancer_has_words_of_its_own(faults: Faults, host: Host) -> None:
    faults.throttled(times=1)
    faults.server_error(503)

    assert json.loads(reply(faults, BALANCER, host).body) == {"error": "Too many requests"}
    assert_is(reply(faults, BALANCER, host), ERRORS["loadbalancer-internal"])


@pytest.mark.parametrize("path", ["/metadata/nothing", "/metadata", "/elsewhere", "/"])
def test_what_is_no_endpoint_is_refused_as_any(faults: Faults, host: Host, path: str) -> None:
    faults.gone(path="*")

    assert_is(reply(faults, replace(GOOD, path=path), host), ERRORS["gone"])


@pytest.mark.parametrize("form", ["text", "TEXT"])
def test_429_is_text_where_text_was_asked_for(faults: Faults, host: Host, form: str) -> None:
    faults.throttled()

    assert_is(reply(faults, replace(GOOD, query=f"{GOOD.query}&format={form}"), host), ERRORS["throttled-text"])


def test_retry_after_is_sent_only_if_it_is_asked_for(faults: Faults, host: Host) -> None:
    faults.throttled(requests=1)
    faults.throttled(requests=1, retry_after=7)
    faults.throttled(retry_after=0)
    without, seven, none = (list(reply(faults, GOOD, host).headers) for _ in range(3))

    assert "Retry-After" not in dict(without)
    assert seven[-1] == ("Retry-After", "7")
    assert none[-1] == ("Retry-After", "0")
    assert [name for name, _ in seven[:-1]] == [name for name, _ in without]


@pytest.mark.parametrize("request_", [GOOD, BALANCER, replace(GOOD, query="format=text")], ids=lambda r: r.target)
@pytest.mark.parametrize(("fault", "who"), OTHERS.items(), ids=ids(OTHERS))
def test_something_else_answers(faults: Faults, host: Host, fault: Fault, who: str, request_: Request) -> None:
    fault.plan(faults)

    assert_is(reply(faults, request_, host), FOREIGN[who])


@pytest.mark.parametrize(
    ("body", "received"), [("{", b"{"), ("é", "é".encode()), (b"\xff\x00", b"\xff\x00"), ("", b"")], ids=repr
)
def test_wrong_content_is_a_200_with_what_was_given(
    faults: Faults, host: Host, body: str | bytes, received: bytes
) -> None:
    faults.wrong_content(body, "application/json")
    answer = reply(faults, GOOD, host)

    assert (answer.status, answer.body) == (200, received)
    assert dict(answer.headers)["Content-Type"] == "application/json"
    assert dict(answer.headers)["Content-Length"] == str(len(received))


@pytest.mark.parametrize(("fault", "expected"), WIRES.items(), ids=ids(WIRES))
def test_the_bytes_of_the_reply_leave_in_another_way(fault: Fault, expected: tuple[bytes, End]) -> None:
    written = script(fault)

    # What a Content-Length promises too much is for the tests of the scripts.
    got = sent(written).replace(b"Content-Length: 11", b"Content-Length: 10")
    assert (got, written.end) == expected


@pytest.mark.parametrize("fault", WIRES, ids=repr)
def test_what_breaks_on_the_wire_is_the_reply_of_the_service(faults: Faults, host: Host, fault: Fault) -> None:
    fault.plan(faults)
    effect = broken(faults, GOOD).effect

    assert effect is not None
    assert effect.reply(GOOD, host) is None


def test_a_reply_dribbles_in_ten_pieces_over_five_seconds() -> None:
    assert [piece.after_s for piece in script(Fault("dribble")).pieces] == [0, *[0.5] * 10]
    assert [piece.after_s for piece in script(Fault("dribble", 2, over=30)).pieces] == [0, 15, 15]


def test_random_data_comes_from_the_seed() -> None:
    random = Fault("random_data")

    assert sent(script(random, "one")) == sent(script(random, "one")) != sent(script(random, "other"))
    assert script(random).end is End.CLOSE


@pytest.mark.parametrize(("fault", "kind"), DOORS.items(), ids=ids(DOORS))
def test_no_connection_is_made(faults: Faults, fault: Fault, kind: str) -> None:
    fault.plan(faults)
    effect = broken(faults, GOOD).effect

    assert isinstance(effect, Door)
    assert effect.kind == faults.door() == kind


def test_a_late_reply_is_the_service_s_own(faults: Faults) -> None:
    faults.latency(2)

    assert broken(faults, GOOD) == Broken(("latency",), 2.0, None, None)
