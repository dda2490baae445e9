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


class Exchange:
    """A request whose reply always has the same size, so that reading it costs the client next to nothing."""

    def __init__(self, port: int, request: bytes) -> None:
        self.port, self.request = port, request
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            head, _, self.body = b"".join(iter(lambda: client.recv(65536), b"")).partition(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(request)
            received = b""
            while not received.endswith(b"\r\n\r\n" + self.body):
                received += client.recv(65536)
        self.size = len(received)

    def on(self, client: socket.socket) -> None:
        """Do it on a connection that is open."""
        client.sendall(self.request)
        left = self.size
        while left > 0:
            left -= len(client.recv(65536))

    def on_a_new_connection(self) -> None:
        """Do it on a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as client:
            self.on(client)


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
    ours = Exchange(imds_server.port, INSTANCE)
    theirs = Exchange(static(ours.body).port, INSTANCE)
    budget(
        "3 one request, new connection / pytest-httpserver",
        0.9,
        lambda: ratio(ours.on_a_new_connection, theirs.on_a_new_connection),
    )


def test_a_request_on_a_connection_that_is_kept(
    budget: Budget, imds_server: ImdsServer, static: Callable[[bytes], HTTPServer]
) -> None:
    ours = Exchange(imds_server.port, INSTANCE)
    theirs = Exchange(static(ours.body).port, INSTANCE)
    with socket.create_connection(("127.0.0.1", imds_server.port), timeout=10) as client:
        budget(
            "4 one request, kept connection / pytest-httpserver (which cannot keep one)",
            0.35,
            lambda: ratio(lambda: ours.on(client), theirs.on_a_new_connection),
        )


def test_the_last_route_costs_what_the_first_does(budget: Budget, imds_server: ImdsServer) -> None:
    first = Exchange(
        imds_server.port, request_for("/metadata/instance/compute/azEnvironment?api-version=2021-02-01&format=text")
    )
    mac = request_for("/metadata/instance/network/interface/0/macAddress?api-version=2021-02-01&format=text")
    last = Exchange(imds_server.port, mac)
    with socket.create_connection(("127.0.0.1", imds_server.port), timeout=10) as client:
        budget(
            "5 the last route / the first",
            1.1,
            lambda: ratio(lambda: last.on(client), lambda: first.on(client)),
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
