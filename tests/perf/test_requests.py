"""What a request costs, against pytest-httpserver with a static answer of the same bytes."""

from __future__ import annotations

import logging
import socket
import statistics
import time
from collections.abc import Callable, Iterator

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from pytest_imds import ImdsServer

from .conftest import Budget

ROUNDS, REQUESTS = 15, 40


def request_for(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: imds\r\nUser-Agent: perf\r\nAccept: */*\r\nMetadata: true\r\n\r\n".encode()


INSTANCE = request_for("/metadata/instance?api-version=2021-02-01")


def exchange(client: socket.socket, request: bytes) -> bytes:
    client.sendall(request)
    received = b""
    while b"\r\n\r\n" not in received:
        received += client.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += client.recv(65536)
    return body


def once(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        return exchange(client, request)


def ratio(ours: Callable[[], object], theirs: Callable[[], object]) -> float:
    """Return the median of the rounds' ratios: the two of a round follow each other, and see the same machine."""
    return statistics.median(median_time(ours) / median_time(theirs) for _ in range(ROUNDS))


def median_time(run: Callable[[], object]) -> float:
    times = []
    for _ in range(REQUESTS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


@pytest.fixture
def static() -> Iterator[Callable[[bytes], HTTPServer]]:
    """A factory of pytest-httpserver with a handler that always gives the same bytes."""
    # Its log lines would go to the terminal: that would measure the terminal.
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    servers: list[HTTPServer] = []

    def serve(body: bytes) -> HTTPServer:
        server = HTTPServer("127.0.0.1")
        servers.append(server)
        server.expect_request("/metadata/instance").respond_with_handler(
            lambda _: Response(body, content_type="application/json")
        )
        server.start()
        return server

    yield serve
    for server in servers:
        server.stop()
    logging.getLogger("werkzeug").setLevel(logging.NOTSET)


def test_a_request_on_a_new_connection(
    budget: Budget, imds_server: ImdsServer, static: Callable[[bytes], HTTPServer]
) -> None:
    theirs = static(once(imds_server.port, INSTANCE))
    budget(
        "3 one request, new connection / pytest-httpserver",
        0.9,
        lambda: ratio(lambda: once(imds_server.port, INSTANCE), lambda: once(theirs.port, INSTANCE)),
    )


def test_a_request_on_a_connection_that_is_kept(
    budget: Budget, imds_server: ImdsServer, static: Callable[[bytes], HTTPServer]
) -> None:
    theirs = static(once(imds_server.port, INSTANCE))
    with socket.create_connection(("127.0.0.1", imds_server.port), timeout=10) as client:
        budget(
            "4 one request, kept connection / pytest-httpserver (which cannot keep one)",
            0.35,
            lambda: ratio(lambda: exchange(client, INSTANCE), lambda: once(theirs.port, INSTANCE)),
        )


def test_the_last_route_costs_what_the_first_does(budget: Budget, imds_server: ImdsServer) -> None:
    first = request_for("/metadata/instance/compute/azEnvironment?api-version=2021-02-01&format=text")
    last = request_for("/metadata/instance/network/interface/0/macAddress?api-version=2021-02-01&format=text")
    with socket.create_connection(("127.0.0.1", imds_server.port), timeout=10) as client:
        budget(
            "5 the last route / the first",
            1.1,
            lambda: ratio(lambda: exchange(client, last), lambda: exchange(client, first)),
        )


def test_stopping_the_server(budget: Budget) -> None:
    def stopping(server: HTTPServer) -> float:
        server.start()
        start = time.perf_counter()
        server.stop()
        return time.perf_counter() - start

    def measure() -> float:
        ours = statistics.median(stopping(ImdsServer()) for _ in range(5))
        theirs = statistics.median(stopping(HTTPServer("127.0.0.1")) for _ in range(5))
        return ours / theirs

    # 10 ms of the 450 ms that pytest-httpserver takes.
    budget("6 stopping the server / stopping pytest-httpserver", 0.02, measure)
