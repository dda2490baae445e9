"""Real I/O in flight never sees time jump."""

from __future__ import annotations

import asyncio
import http.client
import http.server
import os
import selectors
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from werkzeug import Request, Response

from pytest_imds import Clock, ImdsServer
from tests.virtual.machine import Machine, Stopwatch, somebody_sleeping

aiohttp = pytest.importorskip("aiohttp")
httpx = pytest.importorskip("httpx")
requests = pytest.importorskip("requests")

Get = Callable[[str], bytes]


def with_urllib(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as reply:
        return bytes(reply.read())


def with_http_client(url: str) -> bytes:
    with closing(http.client.HTTPConnection(urlsplit(url).netloc)) as connection:
        for _ in range(2):  # the second on a connection that has just received
            connection.request("GET", "/")
            body = connection.getresponse().read()
    return body


def with_requests(url: str) -> bytes:
    return bytes(requests.get(url, timeout=5).content)


def with_httpx(url: str) -> bytes:
    return bytes(httpx.get(url, timeout=5, verify=False).content)


def with_a_socket(url: str) -> bytes:
    with socket.create_connection(("127.0.0.1", urlsplit(url).port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b""
        while not received.endswith(b".." * 5):
            received += connection.recv(1000)
    return received[-10:]


def with_a_selector(url: str) -> bytes:
    with (
        socket.create_connection(("127.0.0.1", urlsplit(url).port)) as connection,
        selectors.DefaultSelector() as selector,
    ):
        selector.register(connection, selectors.EVENT_READ)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b""
        while not received.endswith(b".." * 5) and selector.select(5):
            received += connection.recv(1000)
    return received[-10:]


def with_curl(url: str) -> bytes:
    """C code in a child process."""
    return subprocess.run(["curl", "-s", url], check=True, capture_output=True, timeout=5).stdout


async def aiohttp_get(url: str) -> bytes:
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(url, timeout=aiohttp.ClientTimeout(5)) as reply:
                body = bytes(await reply.read())
    return body


async def httpx_get(url: str) -> bytes:
    async with httpx.AsyncClient(timeout=5, verify=False) as client:
        for _ in range(2):
            body = bytes((await client.get(url)).content)
    return body


async def stream_get(url: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    for _ in range(2):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(10)
    writer.close()
    await writer.wait_closed()
    return body


async def executor_get(url: str) -> bytes:
    return await asyncio.get_running_loop().run_in_executor(None, with_http_client, url)


def computed(_: Request) -> Response:
    Machine.sleep(0.02)
    return Response(b".." * 5)


BLOCKING = [with_urllib, with_http_client, with_requests, with_httpx, with_a_socket, with_a_selector, with_curl]
LOOPED = [aiohttp_get, httpx_get, stream_get, executor_get]


@pytest.mark.parametrize(("get", "manner"), [*((get, "slow") for get in BLOCKING), (with_urllib, "dripping")])
def test_a_blocked_thread_waits_really_for_another_process(
    clock: Clock, request: pytest.FixtureRequest, get: Get, manner: str
) -> None:
    url = request.getfixturevalue(f"{manner}_url")
    with somebody_sleeping(), Stopwatch() as watch:
        assert get(url) == b".." * 5
    assert watch.virtual_s < 2


@pytest.mark.parametrize("get", LOOPED)
@pytest.mark.parametrize("manner", ["slow", "dripping"])
def test_a_loop_waits_really_for_another_process(
    clock: Clock, request: pytest.FixtureRequest, get: Callable[[str], Awaitable[bytes]], manner: str
) -> None:
    url = request.getfixturevalue(f"{manner}_url")

    async def main() -> bytes:
        return await asyncio.wait_for(get(url), 5)

    with Stopwatch() as watch:
        assert asyncio.run(main()) == b".." * 5
    assert watch.virtual_s < 2


@pytest.mark.parametrize("get", BLOCKING)
def test_a_server_of_the_test_may_take_real_time(imds_server: ImdsServer, imds_clock: Clock, get: Get) -> None:
    imds_server.expect_request("/").respond_with_handler(computed)
    with somebody_sleeping(), Stopwatch() as watch:
        assert get(f"{imds_server.url}/") == b".." * 5
    assert watch.virtual_s < 2


@pytest.mark.parametrize("get", LOOPED)
def test_a_server_of_the_test_may_take_real_time_for_a_loop(
    imds_server: ImdsServer, imds_clock: Clock, get: Callable[[str], Awaitable[bytes]]
) -> None:
    imds_server.expect_request("/").respond_with_handler(computed)

    async def main() -> bytes:
        return await asyncio.wait_for(get(f"{imds_server.url}/"), 5)

    with Stopwatch() as watch:
        assert asyncio.run(main()) == b".." * 5
    assert watch.virtual_s < 2


def test_a_loop_that_waits_for_a_pipe_waits_really(clock: Clock) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(reader, loop.stop)
        await asyncio.sleep(0.05)
        loop.remove_reader(reader)

    reader, writer = os.pipe()
    with Stopwatch() as watch:
        asyncio.run(main())
    os.close(reader)
    os.close(writer)
    assert watch.real_s >= 0.05


def test_a_connection_that_is_being_made_is_waited_for_really(clock: Clock) -> None:
    async def main() -> None:
        with socket.socket() as client:
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, full.getsockname())

    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as full,
        socket.create_connection(full.getsockname()),
        Stopwatch() as watch,
        pytest.raises(asyncio.TimeoutError),
    ):
        asyncio.run(asyncio.wait_for(main(), 0.1))
    assert watch.real_s >= 0.1


def test_a_connection_that_has_been_reset_is_not_waited_for(clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        accepted.close()

        def keep(connection: socket.socket) -> None:
            blocked.acquire()
            connection.close()

        blocked = threading.Lock()
        blocked.acquire()
        keeper = threading.Thread(target=keep, args=(client,), daemon=True)
        keeper.start()
        with Stopwatch() as watch:
            time.sleep(70)
        blocked.release()
        keeper.join()
    assert watch.real_s < 1


def test_a_server_of_the_process_that_sleeps_is_waited_for_in_virtual_time(clock: Clock) -> None:
    class Sleepy(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(10)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    async def main(port: int) -> None:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/", timeout=aiohttp.ClientTimeout(15)) as reply:
                assert reply.status == 200
            with pytest.raises(asyncio.TimeoutError):
                await session.get(f"http://127.0.0.1:{port}/", timeout=aiohttp.ClientTimeout(5))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sleepy) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with Stopwatch() as watch:
            asyncio.run(main(server.server_port))
        server.shutdown()
        thread.join()
    assert 15 <= watch.virtual_s < 19
    assert watch.real_s < 2


def test_an_idle_connection_to_another_process_does_not_stop_time_for_long(clock: Clock, dripping_url: str) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.get(dripping_url) as reply:
                await reply.read()
            for _ in range(10):
                await asyncio.sleep(1)

    with Stopwatch() as watch:
        asyncio.run(main())
    assert watch.real_s < 2
