"""Connections of this process to the addresses of Azure lead to a server, for a block, and nothing stays behind."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest

from pytest_imds import Clock, ImdsGuardError, ImdsServer
from pytest_imds.network.redirect import Redirect, refresh, routed
from pytest_imds.network.sockets import watch

TIMEOUT_S = 5.0
IMDS, HOST = "169.254.169.254", "168.63.129.16"
real: Any = socket.socket
PATCHED = [(real, "connect"), (real, "connect_ex"), (socket, "getaddrinfo")]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    found = [getattr(owner, name) for owner, name in PATCHED]  # which a hook that an earlier test has left leaves
    before = [vars(owner).get(name) for owner, name in PATCHED]
    yield
    assert [vars(owner).get(name) for owner, name in PATCHED] == before
    assert [getattr(owner, name) for owner, name in PATCHED] == found


@pytest.fixture
def server() -> Iterator[ImdsServer]:
    with ImdsServer(seed="redirect") as server:
        yield server


def connected(host: Any, port: Any = 80, family: int = socket.AF_INET) -> Any:
    """Where a socket comes out that connects to ``host``."""
    with socket.socket(family) as client:
        client.settimeout(TIMEOUT_S)
        client.connect((host, port))
        return client.getpeername()[:2]


def name(host: str) -> str:
    """The name of the VM that answers at ``host``."""
    url = f"http://{host}/metadata/instance/compute/name?api-version=2021-02-01&format=text"
    with urlopen(Request(url, headers={"Metadata": "true"}), timeout=TIMEOUT_S) as reply:
        return str(reply.read().decode())


@pytest.mark.parametrize("host", [IMDS, HOST, "2852039166", "[::ffff:169.254.169.254]"])
def test_an_unmodified_client_reaches_the_server(host: str, server: ImdsServer) -> None:
    with server.redirected():
        assert name(host) == server.vm.name
    assert [request.host for request, _ in server.log] == [host]


@pytest.mark.parametrize("host", [IMDS, HOST, b"169.254.169.254", "2852039166", "0xa9fea9fe"])
def test_every_way_to_write_the_address_leads_to_the_server(host: Any, server: ImdsServer) -> None:
    with server.redirected():
        assert connected(host) == ("127.0.0.1", server.port)


def test_a_socket_of_ipv6_comes_out_at_the_mapped_address(server: ImdsServer) -> None:
    with server.redirected():
        assert connected(f"::ffff:{IMDS}", family=socket.AF_INET6) == ("::ffff:127.0.0.1", server.port)


def test_connect_ex_is_led_too(server: ImdsServer) -> None:
    with server.redirected(), socket.socket() as client:
        client.settimeout(TIMEOUT_S)
        assert client.connect_ex((IMDS, 80)) == 0
        assert client.getpeername() == ("127.0.0.1", server.port)


def test_other_addresses_are_left_alone(server: ImdsServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, server.redirected():
        port = other.getsockname()[1]
        assert connected("127.0.0.1", port) == connected("localhost", port) == ("127.0.0.1", port)


def test_other_kinds_of_sockets_are_left_alone(server: ImdsServer) -> None:
    with server.redirected(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.connect(("127.0.0.1", 80))  # nothing is sent
        assert datagrams.getpeername() == ("127.0.0.1", 80)
        with pytest.raises(TypeError), socket.socket() as client:
            client.connect("169.254.169.254:80")


@pytest.mark.parametrize("host", [IMDS, HOST])
@pytest.mark.parametrize("port", [443, 32526])
def test_another_port_is_refused_and_nothing_is_sent(host: str, port: int, server: ImdsServer) -> None:
    with server.redirected(), socket.socket() as client:
        with pytest.raises(ImdsGuardError, match=f"connect to {host}:{port}; the test's server stands in for port 80"):
            client.connect((host, port))
        assert client.fileno() == -1  # create_connection() would not close it: it expects an OSError


def test_the_server_that_was_asked_last_answers_and_then_the_one_before(server: ImdsServer) -> None:
    with ImdsServer(seed="inner") as inner, server.redirected():
        with inner.redirected():
            assert name(IMDS) == inner.vm.name
        assert name(IMDS) == server.vm.name


def test_blocks_that_end_in_another_order_leave_what_is_still_there(server: ImdsServer) -> None:
    with ImdsServer(seed="other") as other:
        first, second = server.redirected(), other.redirected()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert name(IMDS) == other.vm.name
        second.__exit__(None, None, None)


def test_a_server_that_is_stopped_refuses_and_one_that_starts_again_is_found(server: ImdsServer) -> None:
    with server.redirected():
        server.stop()
        with pytest.raises(ConnectionRefusedError):
            connected(IMDS)
        server.start()
        assert connected(IMDS) == ("127.0.0.1", server.port)


def test_a_block_that_fails_leaves_nothing(server: ImdsServer) -> None:
    def fail() -> None:
        with server.redirected():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not any("connect" in attribute for attribute in vars(real))


def test_an_attempt_that_is_led_to_a_port_counts_for_who_watches_it(server: ImdsServer) -> None:
    seen: list[str] = []
    with server.redirected(), watch(server.port, lambda: seen.append("attempt")):
        connected(IMDS)
    assert seen == ["attempt"]


def test_a_door_that_is_shut_is_met_at_the_address_of_azure(server: ImdsServer) -> None:
    server.faults.refused(times=1)
    with server.redirected():
        with pytest.raises(ConnectionRefusedError):
            connected(IMDS)
        assert connected(IMDS) == ("127.0.0.1", server.port)
    assert [fired.request for fired in server.faults.fired] == ["connect"]


def test_a_patch_of_somebody_else_is_beneath_and_stays(server: ImdsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def guard(_: socket.socket, address: Any) -> None:
        raise PermissionError(f"{address} is not allowed")

    monkeypatch.setattr(real, "connect", guard)
    with server.redirected():
        assert connected(IMDS) == ("127.0.0.1", server.port)  # what a guard would refuse is never connected to
        with pytest.raises(PermissionError):
            connected("127.0.0.1", server.port)
    assert vars(real)["connect"] is guard
    monkeypatch.undo()


def test_what_somebody_else_has_put_on_top_goes_beneath_again(server: ImdsServer) -> None:
    with server.redirected():
        real.connect = theirs = super(socket.socket, socket.socket).connect
        refresh()
        assert connected(IMDS) == ("127.0.0.1", server.port)
    assert vars(real)["connect"] is theirs
    del real.connect


def test_another_class_of_sockets_is_patched_and_left(server: ImdsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(real):  # type: ignore[misc]
        """As gevent puts one there."""

    with server.redirected():
        monkeypatch.setattr(socket, "socket", Other)
        refresh()
        assert connected(IMDS) == ("127.0.0.1", server.port)
        assert "connect" not in vars(real)
    assert not {"connect", "connect_ex"} & {*vars(Other)}
    monkeypatch.undo()


@pytest.mark.parametrize("host", ["www.microsoft.com", b"www.microsoft.com", "WWW.Microsoft.com"])
@pytest.mark.parametrize("port", [80, "80", "http"])
def test_a_name_of_ours_has_the_address_of_the_host(host: Any, port: Any) -> None:
    with routed(Redirect(lambda: ("127.0.0.1", 1), ["www.microsoft.com"])):
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    assert [address for *_, address in found] == [(HOST, 80)]


def test_other_names_and_ports_are_looked_up_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **_: asked.append(given))
    with routed(Redirect(lambda: ("127.0.0.1", 1), ["www.microsoft.com"])):
        for host, port in (("www.microsoft.com", 443), ("microsoft.com", 80), (None, 80), ("www.microsoft.com", None)):
            socket.getaddrinfo(host, port)
    assert asked == [("www.microsoft.com", 443), ("microsoft.com", 80), (None, 80), ("www.microsoft.com", None)]


def test_a_lookup_that_is_put_back_later_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **_: asked.append(given))
    with routed(Redirect(lambda: ("127.0.0.1", 1), ["www.microsoft.com"])):
        ours = socket.getaddrinfo
    ours("www.microsoft.com", 80)
    assert asked == [("www.microsoft.com", 80)]


def test_the_loop_of_windows_is_led_too(server: ImdsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from asyncio import proactor_events

    class Proactor:
        """What gets there would be connected to by Windows."""

        async def connect(self, _: socket.socket, address: Any) -> Any:
            return address

    class Loop(proactor_events.BaseProactorEventLoop):
        def __init__(self) -> None:
            self._proactor, self._debug = Proactor(), False

        def __del__(self) -> None:
            """It is no loop that would have to be closed."""

    before = vars(proactor_events.BaseProactorEventLoop)["sock_connect"]
    with server.redirected(), socket.socket() as client:
        client.setblocking(False)
        assert asyncio.run(Loop().sock_connect(client, (IMDS, 80))) == ("127.0.0.1", server.port)
        assert asyncio.run(Loop().sock_connect(client, ("192.0.2.1", 80))) == ("192.0.2.1", 80)
    assert vars(proactor_events.BaseProactorEventLoop)["sock_connect"] is before


def test_a_server_lives_in_its_own_time_behind_the_address(server: ImdsServer) -> None:
    assert isinstance(server.clock, Clock)
    server.faults.gone(window=70)
    with server.redirected():
        with pytest.raises(OSError, match="410"):
            name(IMDS)
        server.clock.advance(70)
        assert name(IMDS) == server.vm.name
