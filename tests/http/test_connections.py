"""Connections: kept, closed, pipelined, side by side; and the server's own start and stop."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import pytest
from pytest_httpserver import HTTPServerError
from werkzeug import Request, Response

from pytest_imds import ImdsPortError, ImdsServer, ImdsServerError
from pytest_imds.connection import Connection
from pytest_imds.listener import Listener
from tests.http.wire import INSTANCE, METADATA, TIMEOUT_S, Wire, error, fetch, request

VM_ID = "/metadata/instance/compute/vmId?api-version=2021-02-01&format=text"


def closes(wire: Wire) -> bool:
    """Say whether the server closes the connection without sending anything more."""
    return wire.rest() == b""


def test_connection_serves_many_requests(imds_server: ImdsServer) -> None:
    with Wire(imds_server) as wire:
        for _ in range(50):
            wire.send(request(VM_ID))
            assert wire.reply().body.decode() == imds_server.vm.vm_id


def test_kept_connection_does_not_wait_for_a_delayed_acknowledgement(imds_server: ImdsServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", imds_server.port, timeout=TIMEOUT_S)
    took_s = []
    for _ in range(20):
        before = time.perf_counter()
        connection.request("GET", INSTANCE, headers=dict(METADATA))
        connection.getresponse().read()
        took_s.append(time.perf_counter() - before)
    connection.close()
    assert median(took_s) < 0.020


@pytest.mark.parametrize("value", ["close", "Close", "keep-alive, close"])
def test_connection_close_is_honoured(imds_server: ImdsServer, value: str) -> None:
    with Wire(imds_server) as wire:
        wire.send(request(VM_ID, headers=[*METADATA, ("Connection", value)]))
        reply = wire.reply()
        assert (reply.status, reply.header("Connection")) == (200, "close")
        assert closes(wire)


def test_http_1_0_closes(imds_server: ImdsServer) -> None:
    with Wire(imds_server) as wire:
        wire.send(request(VM_ID).replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert wire.reply().body.decode() == imds_server.vm.vm_id
        assert closes(wire)


def test_http_1_0_with_keep_alive_is_kept(imds_server: ImdsServer) -> None:
    asked = request(VM_ID, headers=[*METADATA, ("Connection", "keep-alive")]).replace(b"HTTP/1.1", b"HTTP/1.0")
    with Wire(imds_server) as wire:
        for _ in range(2):
            wire.send(asked)
            assert wire.reply().status == 200


def test_pipelined_requests_are_answered_in_order(imds_server: ImdsServer) -> None:
    with Wire(imds_server) as wire:
        wire.send(request(VM_ID) + request("/metadata/nothing?api-version=2021-02-01") + request("/"))
        assert wire.reply().body.decode() == imds_server.vm.vm_id
        assert wire.reply().told == error("category-unknown")
        assert wire.reply().told == error("outside-metadata")


def test_request_may_come_byte_by_byte(imds_server: ImdsServer) -> None:
    with Wire(imds_server) as wire:
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request(VM_ID):
            wire.send(bytes([byte]))
        assert wire.reply().status == 200


def test_client_that_has_finished_sending_still_gets_its_reply(imds_server: ImdsServer) -> None:
    with Wire(imds_server) as wire:
        wire.send(request(VM_ID))
        wire.ends_sending()
        assert wire.reply().body.decode() == imds_server.vm.vm_id
        assert closes(wire)


def test_expecting_client_is_told_to_continue(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/echo", method="PUT").respond_with_handler(lambda got: Response(got.get_data()))
    with Wire(imds_server) as wire:
        wire.send(request("/echo", method="PUT", headers=[("Content-Length", "3"), ("Expect", "100-continue")]))
        assert wire.head() == (100, [])
        wire.send(b"abc")
        assert wire.reply().body == b"abc"


def test_chunked_body_is_read(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/echo", method="PUT").respond_with_handler(lambda got: Response(got.get_data()))
    chunks = b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    reply = fetch(imds_server, "/echo", method="PUT", headers=[("Transfer-Encoding", "chunked")], body=chunks)
    assert (reply.status, reply.body) == (200, b"abc")


def test_clients_side_by_side_all_get_their_answers(imds_server: ImdsServer) -> None:
    together = threading.Barrier(8, timeout=TIMEOUT_S)

    def ask(_: int) -> set[bytes]:
        with Wire(imds_server) as wire:
            together.wait()
            bodies = set()
            for _ in range(10):
                wire.send(request(VM_ID))
                bodies.add(wire.reply().body)
            return bodies

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8), timeout=30))
    assert answers == [{imds_server.vm.vm_id.encode()}] * 8
    assert len(imds_server.log) == 80


def test_slow_handler_does_not_hold_up_other_clients(imds_server: ImdsServer) -> None:
    entered, released = threading.Event(), threading.Event()

    def slow(_: Request) -> Response:
        entered.set()
        return Response(f"released: {released.wait(TIMEOUT_S)}")

    imds_server.expect_request("/slow").respond_with_handler(slow)
    with Wire(imds_server) as waiting:
        waiting.send(request("/slow"))
        assert entered.wait(TIMEOUT_S)
        for _ in range(3):
            assert fetch(imds_server, VM_ID).status == 200
        released.set()
        assert waiting.reply().body == b"released: True"


def test_silent_connections_do_not_hold_up_other_clients(imds_server: ImdsServer) -> None:
    silent = [Wire(imds_server) for _ in range(20)]
    assert fetch(imds_server, VM_ID).status == 200
    for wire in silent:
        wire.socket.close()


def test_server_listens_on_the_ipv4_loopback_address_alone(imds_server: ImdsServer) -> None:
    assert imds_server.server is not None
    assert imds_server.server.socket.getsockname() == ("127.0.0.1", imds_server.port)
    assert imds_server.url == f"http://127.0.0.1:{imds_server.port}"


def refused(port: int) -> bool:
    """Say whether a client of ``port`` is refused."""
    with socket.socket() as client:
        client.settimeout(TIMEOUT_S)
        return client.connect_ex(("127.0.0.1", port)) != 0


def test_stopped_server_refuses_clients_from_that_moment() -> None:
    server = ImdsServer()
    for _ in range(20):
        server.start()
        assert fetch(server, VM_ID).status == 200
        server.stop()
        assert refused(server.port)
        assert not server.is_running()


def test_stopped_server_closes_kept_connections() -> None:
    server = ImdsServer()
    server.start()
    with Wire(server) as wire:
        wire.send(request(VM_ID))
        wire.reply()
        server.stop()
        assert closes(wire)


@pytest.mark.parametrize("kept", [0, 5])
def test_stop_takes_less_than_ten_milliseconds(kept: int) -> None:
    server = ImdsServer()
    took_s = []
    for _ in range(5):
        server.start()
        clients = [Wire(server) for _ in range(kept)]
        for client in clients:
            client.send(request(VM_ID))
            client.reply()
        before = time.perf_counter()
        server.stop()
        took_s.append(time.perf_counter() - before)
        for client in clients:
            assert closes(client)
            client.__exit__(None, None, None)
    assert min(took_s) < 0.010


def test_server_starts_again_on_its_port() -> None:
    server = ImdsServer()
    ports = set()
    for _ in range(20):
        server.start()
        ports.add(server.port)
        assert fetch(server, VM_ID).body.decode() == server.vm.vm_id
        server.stop()
    assert len(ports) == 1


def test_stopping_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    with ImdsServer() as server:
        assert fetch(server, VM_ID).status == 200
    left = set(threading.enumerate()) - before
    for thread in left:
        thread.join(TIMEOUT_S)
    assert not [thread.name for thread in left if thread.is_alive()]


def test_running_server_cannot_be_started_and_stopped_one_cannot_be_stopped() -> None:
    server = ImdsServer()
    with pytest.raises(HTTPServerError, match="not running"):
        server.stop()
    with server, pytest.raises(HTTPServerError, match="already running"):
        server.start()


def test_port_that_is_taken_is_told() -> None:
    with ImdsServer() as first, pytest.raises(ImdsPortError, match=f"cannot listen on 127.0.0.1:{first.port}"):
        ImdsServer(port=first.port).start()


def test_port_that_is_taken_is_told_by_the_exception_alone(capfd: pytest.CaptureFixture[str]) -> None:
    with ImdsServer() as first, pytest.raises(ImdsPortError):
        ImdsServer(port=first.port).start()
    assert capfd.readouterr() == ("", "")


def test_port_that_was_asked_for_is_listened_on() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with ImdsServer(port=port) as server:
        assert server.url == f"http://127.0.0.1:{port}"
        assert fetch(server, VM_ID).status == 200


def test_two_servers_serve_their_own_vms() -> None:
    with ImdsServer(seed=1) as one, ImdsServer("windows", seed=2) as two:
        bodies = [fetch(server, VM_ID).body.decode() for server in (one, two)]
    assert bodies == [one.vm.vm_id, two.vm.vm_id]
    assert one.vm.vm_id != two.vm.vm_id


def run(server: ImdsServer, mistake: type[Exception] | None = None) -> None:
    """Run ``server`` with a handler that fails; raise ``mistake`` before the context ends."""

    def failing(_: Request) -> Response:
        raise LookupError("no such thing")

    with server:
        server.expect_request("/fails").respond_with_handler(failing)
        assert fetch(server, "/fails").status == 500
        if mistake is not None:
            raise mistake


def test_leaving_the_context_raises_what_went_wrong_inside() -> None:
    server = ImdsServer()
    with pytest.raises(ImdsServerError, match="GET /fails") as raised:
        run(server)
    assert "LookupError: no such thing" in str(raised.value)
    assert not server.is_running()


def test_leaving_the_context_does_not_hide_the_test_s_own_exception() -> None:
    server = ImdsServer()
    with pytest.raises(ZeroDivisionError):
        run(server, ZeroDivisionError)
    assert not server.is_running()


def test_request_on_a_connection_whose_test_is_over_is_not_answered(imds_server: ImdsServer) -> None:
    listener = imds_server.server
    assert isinstance(listener, Listener)
    with socket.create_server(("127.0.0.1", 0)) as door, socket.create_connection(door.getsockname(), 5) as client:
        left_over = Connection(*door.accept(), listener, ImdsServer())
        client.sendall(request(INSTANCE))
        left_over.serve()
        assert client.recv(1) == b""


def test_starting_leaves_the_handler_of_other_servers_as_it_is() -> None:
    script = (
        "from werkzeug.serving import WSGIRequestHandler as shared; before = shared.protocol_version\n"
        "from pytest_imds import ImdsServer\n"
        "with ImdsServer(): assert shared.protocol_version == before, shared.protocol_version"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
