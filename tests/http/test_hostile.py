"""Clients that send what is no request: each is refused or cut off, and the next one is answered."""

from __future__ import annotations

import re
import socket
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_imds import ImdsServer
from pytest_imds.listener import Listener
from tests.http.wire import INSTANCE, METADATA, Wire, error, fetch, request

GOOD = request(INSTANCE)
MIB = 1024 * 1024
REFUSED = re.compile(rb"HTTP/1\.1 [45]\d\d ")


def headed(*lines: bytes, method: bytes = b"GET", target: bytes = INSTANCE.encode()) -> bytes:
    """Return a request with ``lines`` for headers, as they are."""
    return b"\r\n".join([method + b" " + target + b" HTTP/1.1", b"Metadata: true", *lines, b"", b""])


# What is no HTTP/1 request in itself, whatever a server makes of IMDS.
MALFORMED = {
    "absolute-form": headed(target=b"http://imds.invalid/metadata/instance"),
    "authority-form": headed(method=b"CONNECT", target=b"imds.invalid:80"),
    "asterisk-form": headed(method=b"OPTIONS", target=b"*"),
    "no leading slash": headed(target=b"metadata/instance"),
    "NUL in the target": headed(target=b"/metadata\x00/instance"),
    "NUL in a header": headed(b"X-Name: a\x00b"),
    "NUL in a header's name": headed(b"X-\x00Name: a"),
    "space in the target": headed(target=b"/metadata/in stance"),
    "carriage return in a header": headed(b"X-Name: a\rb"),
    "space before the colon": headed(b"X-Name : a"),
    "folded header": headed(b"X-Name: a", b"  b"),
    "folded first header": b"GET / HTTP/1.1\r\n X-Name: a\r\n\r\n",
    "header without a colon": headed(b"X-Name"),
    "header without a name": headed(b": a"),
    "negative Content-Length": headed(b"Content-Length: -1"),
    "Content-Length with a sign": headed(b"Content-Length: +1"),
    "Content-Length in words": headed(b"Content-Length: ten"),
    "Content-Length in hexadecimal": headed(b"Content-Length: 0x10"),
    "Content-Length in other digits": headed("Content-Length: \N{SUPERSCRIPT TWO}".encode("latin-1")),
    "empty Content-Length": headed(b"Content-Length:"),
    "two lengths": headed(b"Content-Length: 1", b"Content-Length: 2"),
    "list of lengths": headed(b"Content-Length: 1, 2"),
    "length and coding": headed(b"Content-Length: 3", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "unknown coding": headed(b"Transfer-Encoding: gzip"),
    "chunked and another coding": headed(b"Transfer-Encoding: gzip, chunked"),
    "two codings": headed(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "HTTP/0.9": b"GET /metadata/instance\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2 by name": GOOD.replace(b"HTTP/1.1", b"HTTP/2"),
    "HTTP in lower case": GOOD.replace(b"HTTP/1.1", b"http/1.1"),
    "no method": GOOD.replace(b"GET ", b" "),
    "TLS": bytes.fromhex("16030100f8010000f4030312") + b"\r\n",
    "words": b"hello\r\n",
}


def outcome(server: ImdsServer, content: bytes) -> bytes:
    """Return everything that a client gets for ``content``."""
    with Wire(server) as wire:
        wire.send(content)
        wire.ends_sending()
        return wire.rest()


def assert_answers(server: ImdsServer) -> None:
    assert fetch(server, INSTANCE).status == 200


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_malformed_request_is_refused_and_the_connection_closed(imds_server: ImdsServer, content: bytes) -> None:
    with Wire(imds_server) as wire:
        wire.send(content + GOOD)
        reply = wire.reply()
        assert reply.told == error("malformed")
        assert reply.header("Connection") == "close"
        assert wire.rest() == b""
    assert imds_server.log == []
    assert_answers(imds_server)


@pytest.mark.parametrize(
    "content",
    [
        b"A" * MIB,
        b"GET /" + b"a" * MIB + b" HTTP/1.1\r\n\r\n",
        headed(b"X-Name: " + b"a" * MIB),
        headed(*[b"X-Name: a"] * (MIB // 11)),
    ],
    ids=["line without an end", "request line", "header", "many headers"],
)
def test_one_mebibyte_of_head_is_refused(imds_server: ImdsServer, content: bytes) -> None:
    with Wire(imds_server) as wire:
        wire.send(content)
        wire.ends_sending()
        assert wire.reply().told == error("head-too-large")
        assert wire.rest() == b""
    assert_answers(imds_server)


def test_head_of_almost_64_kib_is_taken(imds_server: ImdsServer) -> None:
    assert fetch(imds_server, INSTANCE, headers=[*METADATA, ("X-Name", "a" * 65_000)]).status == 200


@pytest.mark.parametrize(
    "headers", [[("Content-Length", "3")], [("Transfer-Encoding", "chunked")]], ids=["length", "chunked"]
)
def test_body_with_get_is_400(imds_server: ImdsServer, headers: list[tuple[str, str]]) -> None:
    body = b"abc" if headers[0][0] == "Content-Length" else b"3\r\nabc\r\n0\r\n\r\n"
    assert fetch(imds_server, INSTANCE, headers=[*METADATA, *headers], body=body).told == error("body-with-get")
    assert_answers(imds_server)


def test_body_with_get_is_never_taken_for_the_next_request(imds_server: ImdsServer) -> None:
    with Wire(imds_server) as wire:
        wire.send(request(INSTANCE, headers=[*METADATA, ("Content-Length", str(len(GOOD)))], body=GOOD))
        assert wire.reply().told == error("body-with-get")
        wire.send(request("/"))
        assert wire.reply().told == error("outside-metadata")


# Requests that only fail where their body or their target is looked into.
BROKEN = {
    "body cut off": headed(b"Content-Length: 10", method=b"POST") + b"abc",
    "chunk without a size": headed(b"Transfer-Encoding: chunked", method=b"POST") + b"xyz\r\nabc\r\n0\r\n\r\n",
    "chunk of negative size": headed(b"Transfer-Encoding: chunked", method=b"POST") + b"-3\r\nabc\r\n0\r\n\r\n",
    "chunk cut off": headed(b"Transfer-Encoding: chunked", method=b"POST") + b"ff\r\nabc",
    "chunks without an end": headed(b"Transfer-Encoding: chunked", method=b"POST") + b"3\r\nabc\r\n",
    "bracket for a host": headed(target=b"//[::1/metadata/instance"),
    "escapes that are no UTF-8": headed(target=b"/metadata/instance/%ff%fe?api-version=%ff&%80=%"),
    "bytes that are no UTF-8": headed(target=b"/metadata/\xff\xfe?\x80=\xff"),
    "length with 5000 digits": headed(b"Content-Length: " + b"1" * 5000, method=b"POST") + b"abc",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_broken_request_is_refused_and_is_not_the_server_s_problem(imds_server: ImdsServer, content: bytes) -> None:
    received = outcome(imds_server, content)
    assert received == b"" or REFUSED.match(received)
    assert not received.startswith(b"HTTP/1.1 500")
    assert_answers(imds_server)
    imds_server.check()


def impatient(server: ImdsServer) -> Listener:
    """Let ``server`` wait for clients for a moment only."""
    assert isinstance(server.server, Listener)
    server.server.idle_timeout_s = 0.05
    return server.server


@pytest.mark.parametrize("content", [b"", b"GET /metadata/ins"], ids=["nothing", "half a request line"])
def test_client_that_sends_no_request_line_is_cut_off(content: bytes) -> None:
    with ImdsServer() as server:
        impatient(server)
        with Wire(server) as wire:
            wire.send(content)
            received = wire.rest()
            assert received == b"" or REFUSED.match(received)
        assert_answers(server)


def test_client_that_stops_amid_the_headers_is_told() -> None:
    with ImdsServer() as server:
        impatient(server)
        with Wire(server) as wire:
            wire.send(GOOD[:-4])
            assert wire.reply().told == error("request-timeout")
            assert wire.rest() == b""
        assert_answers(server)


def test_client_that_stops_amid_the_body_is_refused() -> None:
    with ImdsServer() as server:
        impatient(server)
        with Wire(server) as wire:
            wire.send(request(INSTANCE, method="POST", headers=[*METADATA, ("Content-Length", "10")], body=b"abc"))
            received = wire.rest()
            assert received == b"" or REFUSED.match(received)
            assert not received.startswith(b"HTTP/1.1 500")
        assert_answers(server)


def test_kept_connection_that_falls_silent_is_closed() -> None:
    with ImdsServer() as server:
        impatient(server)
        with Wire(server) as wire:
            wire.send(GOOD)
            assert wire.reply().status == 200
            assert wire.rest() == b""


@pytest.mark.parametrize(
    "content",
    [b"", GOOD[:20], GOOD[:-4], GOOD, GOOD * 50, MALFORMED["words"]],
    ids=["nothing", "half a line", "half a head", "a request", "many requests", "words"],
)
@pytest.mark.parametrize("reset", [False, True], ids=["closes", "resets"])
def test_client_may_leave_before_it_reads(imds_server: ImdsServer, content: bytes, reset: bool) -> None:
    for _ in range(5):
        with Wire(imds_server) as wire:
            wire.send(content)
            if reset:
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert_answers(imds_server)


def test_client_that_leaves_amid_the_body_is_no_problem(imds_server: ImdsServer) -> None:
    for _ in range(5):
        with Wire(imds_server) as wire:
            wire.send(request(INSTANCE, method="POST", headers=[*METADATA, ("Content-Length", "10")], body=b"abc"))
    assert_answers(imds_server)


def spliced(cut: tuple[int, int], content: bytes) -> bytes:
    """Return a good request with ``content`` in the place of a part of it."""
    return GOOD[: min(cut)] + content + GOOD[max(cut) :]


PLACES = st.integers(min_value=0, max_value=len(GOOD))
ODDITIES = st.sampled_from([b"\r\n", b"\n", b"\x00", b":", b" ", b"/", b"//[", b"?", b"%", b"Content-Length: 1\r\n"])
SPLICED = st.builds(spliced, st.tuples(PLACES, PLACES), st.binary(max_size=20) | ODDITIES)


@settings(max_examples=40, deadline=None, database=None)
@given(st.binary(max_size=200) | SPLICED)
@example(b"\r\n" + GOOD)
def test_random_bytes_get_http_or_nothing(content: bytes) -> None:
    with ImdsServer() as server:
        received = outcome(server, content)
        assert received == b"" or received.startswith(b"HTTP/1.1 ")
        assert not received.startswith(b"HTTP/1.1 500")
        assert_answers(server)
