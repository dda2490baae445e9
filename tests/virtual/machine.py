"""The machine's time, which goes on as ever while a test's does not, and servers that live in it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from pytest_imds.virtual import Standing

# What no wait of a test exceeds, in real seconds.
LONG_S = 20

SOURCE = """
import http.server, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.close_connection = False
        if sys.argv[1] == "slow":
            time.sleep(0.08)
        self.send_response(200)
        self.send_header("Content-Length", "10")
        self.end_headers()
        for _ in range(2):
            if sys.argv[1] == "dripping":
                time.sleep(0.03)
            self.wfile.write(b".....")
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
"""


class Nobody:
    """No servers."""

    ports: tuple[int, ...] = ()

    def standings(self) -> Mapping[tuple[str, int], Standing]:
        return {}


class Machine:
    """The functions of ``time`` that virtual time does not find."""

    perf_counter = staticmethod(time.perf_counter)
    sleep = staticmethod(time.sleep)


class Stopwatch:
    """Measures a block, in virtual and in real seconds."""

    virtual_s = 0.0
    real_s = 0.0

    def __enter__(self) -> Stopwatch:
        self._began = time.monotonic(), Machine.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.virtual_s, self.real_s = time.monotonic() - self._began[0], Machine.perf_counter() - self._began[1]


@contextmanager
def child(manner: str) -> Iterator[str]:
    """An HTTP server in a process of its own."""
    command = [sys.executable, "-c", SOURCE, manner]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/"
        finally:
            server.kill()


@contextmanager
def somebody_sleeping() -> Iterator[None]:
    """A thread that would make time run wherever the test only waits."""
    over = False

    def sleep() -> None:
        while not over:
            time.sleep(1)

    thread = threading.Thread(target=sleep)
    thread.start()
    try:
        yield
    finally:
        over = True
        thread.join()


def in_threads(*functions: Callable[[], object]) -> None:
    threads = [threading.Thread(target=function, daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
