"""Faults of connections: what comes over the socket, byte by byte, how it ends, and what clients make of it."""

from __future__ import annotations

import asyncio
import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise

import aiohttp
import httpx
import pytest
import requests
from werkzeug import Response

from pytest_imds import Fault, Faults, ImdsServer
from pytest_imds.clock import Clock
from pytest_imds.faults.script import RANDOM_BYTES
from tests.http.wire import INSTANCE, METADATA, TIMEOUT_S, Wire, fetch, request

ASKED = request(INSTANCE)
# How long a client listens before it takes the other side for silent, or gives up.
LISTENS_S = 0.1

kept_or_new = pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])


def comes(wire: Wire, timeout_s: float = TIMEOUT_S) -> tuple[bytes, str]:
    """Return all that comes, and how it ends: closed, reset or silent."""
    received = b""
    wire.socket.settimeout(timeout_s)
    try:
        while part := wire.socket.recv(65536):
            received += part
    except TimeoutError:
        return received, "silent"
    except ConnectionResetError:
        return received, "reset"
    return received, "closed"


def whole(server: ImdsServer) -> tuple[bytes, bytes]:
    """Return head and body of a good reply."""
    with Wire(server) as wire:
        wire.send(ASKED)
        wire.ends_sending()
        received = wire.rest()
    head, empty_line, body = received.partition(b"\r\n\r\n")
    return head + empty_line, body


def same(received: bytes, head: bytes) -> bool:
    """Whether what came is the beginning of this head, but for the values of the request's id and the time."""
    names = [[line.split(b":")[0] for line in one.split(b"\r\n")] for one in (received, head[: len(received)])]
    return len(received) <= len(head) and names[0][:-1] == names[1][:-1]


def may_send(wire: Wire) -> bool:
    """Whether the other side still takes what is sent: one that is closed would answer with an RST."""
    try:
        for _ in range(3):
            wire.send(b"more" * 10_000)
    except ConnectionError:
        return False
    return wire.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def patience(fault: Fault) -> float:
    """Return how long a client waits; where it has to give up, that is not long."""
    return LISTENS_S if fault.name in ("blackhole", "connect_timeout") else TIMEOUT_S


def meets(server: ImdsServer, fault: Fault, kept: bool = False) -> tuple[bytes, str]:
    """Return what comes to a request that a fault breaks."""
    with Wire(server) as wire:
        if kept:
            wire.send(ASKED)
            assert wire.reply().status == 200
        fault.plan(server.faults)
        wire.send(ASKED)
        return comes(wire, patience(fault))


@kept_or_new
@pytest.mark.parametrize(
    ("name", "after", "end"),
    [
        ("reset", 0, "reset"),
        ("reset", 20, "reset"),
        ("reset", 10_000, "reset"),
        ("half_closed", 0, "closed"),
        ("half_closed", 20, "closed"),
        ("empty_response", None, "closed"),
        ("blackhole", None, "silent"),
    ],
)
def test_so_many_bytes_come_and_then_it_ends(
    imds_server: ImdsServer, kept: bool, name: str, after: int | None, end: str
) -> None:
    head, body = whole(imds_server)
    fault = Fault(name, times=1) if after is None else Fault(name, after, times=1)
    received, ended = meets(imds_server, fault, kept)
    assert (len(received), ended) == (min(after or 0, len(head + body)), end)
    assert same(received[: len(head)], head)
    assert body.startswith(received[len(head) :])
    assert fetch(imds_server, INSTANCE).body == body


@pytest.mark.parametrize(
    ("name", "end", "may"),
    [("half_closed", "closed", True), ("blackhole", "silent", True), ("empty_response", "closed", False)],
)
def test_a_client_may_go_on_sending_or_not(
    imds_server: ImdsServer, imds_faults: Faults, name: str, end: str, may: bool
) -> None:
    Fault(name).plan(imds_faults)
    with Wire(imds_server) as wire:
        wire.send(ASKED)
        assert comes(wire, patience(Fault(name))) == (b"", end)
        assert may_send(wire) == may
    assert len(imds_server.log) == 1


@kept_or_new
@pytest.mark.parametrize("count", [None, 0, 10, 100_000])
def test_less_of_the_body_comes_than_its_length_says(imds_server: ImdsServer, kept: bool, count: int | None) -> None:
    _, body = whole(imds_server)
    received, end = meets(imds_server, Fault("truncated", count, times=1), kept)
    head, _, truncated = received.partition(b"\r\n\r\n")
    promised = [int(line.split()[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")]
    assert (truncated, end) == (body[: len(body) // 2 if count is None else count], "closed")
    assert promised == [max(len(body), len(truncated) + 1)]


@pytest.mark.parametrize("parts", [[], [b"in ", b"parts"]], ids=["empty", "of unknown length"])
def test_a_body_without_a_length_is_truncated_too(imds_server: ImdsServer, parts: list[bytes]) -> None:
    imds_server.expect_request("/metadata/own").respond_with_response(Response(iter(parts)))
    imds_server.faults.truncated(3)
    with Wire(imds_server) as wire:
        wire.send(request("/metadata/own"))
        status, headers = wire.head()
        body = wire.rest()
    assert (status, body) == (200, b"".join(parts)[:3])
    assert "Transfer-Encoding" not in dict(headers)
    assert int(dict(headers)["Content-Length"]) > len(body)


@kept_or_new
def test_after_a_chunk_one_comes_whose_length_is_no_number(imds_server: ImdsServer, kept: bool) -> None:
    _, body = whole(imds_server)
    received, end = meets(imds_server, Fault("malformed_chunk", times=1), kept)
    head, _, chunks = received.partition(b"\r\n\r\n")
    half = body[: len(body) // 2]
    assert b"\r\nTransfer-Encoding: chunked" in head
    assert b"Content-Length" not in head
    assert (chunks, end) == (b"%x\r\n%b\r\nnot a length\r\n" % (len(half), half), "closed")


def test_random_data_is_no_http_and_the_same_for_a_seed() -> None:
    came = []
    for seed in (1, 1, 2):
        with ImdsServer(seed=seed) as server:
            came.append(meets(server, Fault("random_data")))
    assert came[0] == came[1] != came[2]
    assert {(len(received), received[:1], end) for received, end in came} == {(RANDOM_BYTES, b"\xff", "closed")}


@kept_or_new
def test_a_body_dribbles_in_even_pieces_and_the_connection_goes_on(
    imds_server: ImdsServer, imds_faults: Faults, imds_clock: Clock, kept: bool
) -> None:
    head, body = whole(imds_server)
    pieces, at = list[bytes](), list[float]()
    imds_faults.dribble(chunks=4, over=8, times=1, after=int(kept))
    with Wire(imds_server) as wire:
        if kept:
            wire.send(ASKED)
            assert wire.reply().body == body
        wire.send(ASKED)
        client = wire.socket  # virtual time looks for the sockets that a waiting thread has at hand
        while sum(map(len, pieces)) < len(head + body):
            pieces.append(client.recv(65536))
            at.append(imds_clock.monotonic())
        wire.send(ASKED)
        assert wire.reply().body == body
    assert same(pieces[0], head)
    assert (b"".join(pieces[1:]), len(pieces)) == (body, 5)
    assert max(map(len, pieces[1:])) - min(map(len, pieces[1:])) <= 1
    assert all(1.9 <= later - earlier < 2.5 for earlier, later in pairwise(at)), at


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_body_that_is_empty_does_not_keep_the_head(imds_server: ImdsServer, method: str) -> None:
    imds_server.expect_request("/metadata/own").respond_with_data(b"" if method == "GET" else b"body")
    imds_server.faults.dribble(over=0.02)
    with Wire(imds_server) as wire:
        for _ in range(2):
            wire.send(request("/metadata/own", method=method))
            assert wire.reply(method).body == b""


def with_curl(url: str, timeout_s: float) -> int:
    command = ["curl", "-sS", "--noproxy", "*", "--max-time", str(timeout_s), "-H", "Metadata: true", url]
    return subprocess.run(command, capture_output=True, timeout=30).returncode


def with_http_client(url: str, timeout_s: float) -> int:
    with closing(http.client.HTTPConnection(url.split("/")[2], timeout=timeout_s)) as connection:
        connection.request("GET", INSTANCE, headers=dict(METADATA))
        response = connection.getresponse()
        response.read()
        return response.status


def with_requests(url: str, timeout_s: float) -> int:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, headers=dict(METADATA), timeout=timeout_s).status_code


def with_httpx(url: str, timeout_s: float) -> int:
    return httpx.get(url, headers=dict(METADATA), timeout=timeout_s, trust_env=False, verify=False).status_code


def with_aiohttp(url: str, timeout_s: float) -> int:
    async def get() -> int:
        limits = aiohttp.ClientTimeout(sock_connect=timeout_s, sock_read=timeout_s)
        async with aiohttp.ClientSession(timeout=limits) as session, session.get(url, headers=dict(METADATA)) as got:
            await got.read()
            return got.status

    return asyncio.run(get())


Client = Callable[[str, float], int]
CLIENTS: tuple[Client, ...] = (with_curl, with_http_client, with_requests, with_httpx, with_aiohttp)


def outcome(client: Client, url: str, timeout_s: float) -> object:
    """Return the status or the exit code that a client ends with, or its exception."""
    try:
        return client(url, timeout_s)
    except Exception as error:  # noqa: BLE001 - which one it is, is what is asked
        return error


BROKEN, CUT = http.client.BadStatusLine, http.client.IncompleteRead
DOWN, BODY = requests.ConnectionError, requests.exceptions.ChunkedEncodingError
NO_HTTP, READ, SILENT = httpx.RemoteProtocolError, httpx.ReadError, httpx.ReadTimeout
LEFT, PAYLOAD, LATE = aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ServerTimeoutError


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("reset"), (56, ConnectionResetError, DOWN, READ, aiohttp.ClientOSError)),
        (Fault("reset", 400), (56, ConnectionResetError, BODY, READ, PAYLOAD)),
        (Fault("empty_response"), (52, http.client.RemoteDisconnected, DOWN, NO_HTTP, LEFT)),
        # Some take a head that breaks off for a whole one.
        (Fault("half_closed", 20), (0, 200, 200, NO_HTTP, LEFT)),
        (Fault("truncated"), (18, CUT, BODY, NO_HTTP, PAYLOAD)),
        (Fault("malformed_chunk"), (56, CUT, BODY, NO_HTTP, aiohttp.ClientError)),
        (Fault("random_data"), (1, BROKEN, DOWN, NO_HTTP, aiohttp.ClientError)),
        (Fault("blackhole"), (28, TimeoutError, requests.ReadTimeout, SILENT, LATE)),
        (Fault("refused"), (7, ConnectionRefusedError, DOWN, httpx.ConnectError, aiohttp.ClientConnectorError)),
        (Fault("connect_timeout"), (28, TimeoutError, requests.ConnectTimeout, httpx.ConnectTimeout, LATE)),
    ],
    ids=lambda given: repr(given) if isinstance(given, Fault) else "",
)
def test_what_curl_http_client_requests_httpx_and_aiohttp_make_of_it(
    imds_server: ImdsServer, imds_faults: Faults, fault: Fault, expected: tuple[int | type[Exception], ...]
) -> None:
    fault.plan(imds_faults)
    made = [outcome(client, imds_server.url + INSTANCE, patience(fault)) for client in CLIENTS]
    for one, awaited in zip(made, expected, strict=True):
        assert isinstance(one, awaited) if isinstance(awaited, type) else one == awaited, made


def test_the_timeout_of_a_socket_does_not_end_a_dribble(imds_server: ImdsServer, imds_faults: Faults) -> None:
    imds_faults.dribble(chunks=15, over=2 * LISTENS_S)
    began = time.monotonic()
    assert with_http_client(imds_server.url + INSTANCE, LISTENS_S) == 200
    assert time.monotonic() - began >= 2 * LISTENS_S
