"""Requests that are sent as to a proxy: for the server they are answered, for others passed on or refused."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from pytest_imds import ImdsServer, ServerFactory
from tests.http.wire import INSTANCE, METADATA, Reply, Wire, error, request

FORM = "application/x-www-form-urlencoded"


def ask(
    server: ImdsServer,
    authority: str,
    target: str = INSTANCE,
    *,
    method: str = "GET",
    headers: Iterable[tuple[str, str]] = METADATA,
    body: bytes = b"",
) -> Reply:
    """Ask ``server`` as a proxy, for ``authority``."""
    with Wire(server) as wire:
        wire.send(request(f"http://{authority}{target}", method=method, headers=headers, body=body))
        return wire.reply(method)


@pytest.fixture
def trap(imds_server: ImdsServer, make_imds_server: ServerFactory) -> ImdsServer:
    """The server, which passes for a proxy."""
    make_imds_server.trap(imds_server)
    return imds_server


@pytest.fixture
def other() -> Iterator[HTTPServer]:
    """Another server of the test."""
    with HTTPServer("127.0.0.1") as server:
        yield server
        server.check()


def authority(server: HTTPServer) -> str:
    return f"{server.host}:{server.port}"


@pytest.mark.parametrize("host", ["169.254.169.254", "169.254.169.254:80", "168.63.129.16", "[::ffff:a9fe:a9fe]"])
def test_what_is_for_azures_host_is_answered_and_recorded_as_proxied(imds_server: ImdsServer, host: str) -> None:
    reply = ask(imds_server, host)
    (recorded,) = imds_server.requests

    assert reply.status == 200
    assert (recorded.proxied, recorded.target, recorded.headers["host"]) == (True, INSTANCE, host)


def test_what_is_for_the_server_is_answered_and_recorded_as_proxied(imds_server: ImdsServer) -> None:
    for host in ("127.0.0.1", "LocalHost"):
        assert ask(imds_server, f"{host}:{imds_server.port}").status == 200
    assert [recorded.proxied for recorded in imds_server.requests] == [True, True]


def test_what_is_sent_to_the_server_itself_is_not_proxied(imds_server: ImdsServer) -> None:
    with Wire(imds_server) as wire:
        for target in (INSTANCE, f"http://169.254.169.254{INSTANCE}", INSTANCE):
            wire.send(request(target))
            assert wire.reply().status == 200
    assert [recorded.proxied for recorded in imds_server.requests] == [False, True, False]


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org", "127.0.0.1:1", "169.254.169.254:81"])
def test_a_server_that_is_no_proxy_refuses_what_is_for_others(imds_server: ImdsServer, host: str) -> None:
    with Wire(imds_server) as wire:
        wire.send(request(f"http://{host}/metadata/versions"))
        refused = wire.head()

    assert (refused[0], dict(refused[1])["Content-Type"]) == error("malformed")[:2]


def test_what_is_for_others_is_passed_on_and_comes_back(trap: ImdsServer, other: HTTPServer) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        reply = Response(b"\x1f\x8b raw", 201, content_type="text/x", headers={"Content-Encoding": "gzip"})
        reply.headers.extend([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Connection", "close")])
        return reply

    other.expect_request("/there", method="POST").respond_with_handler(answer)
    sent = (
        *(("X-Name", "a, b"), ("Content-Type", FORM), ("Content-Length", "3"), ("Accept-Encoding", "gzip")),
        *(("Proxy-Authorization", "secret"), ("Connection", "keep-alive, X-Hop"), ("X-Hop", "1")),
    )
    reply = ask(trap, authority(other), "/there?a=%20b", method="POST", headers=sent, body=b"x=y")

    (passed,) = seen
    assert (passed.full_path, passed.get_data(), passed.content_type) == ("/there?a=%20b", b"x=y", FORM)
    headers = {name.lower(): value for name, value in passed.headers.items()}
    assert (headers["host"], headers["x-name"], headers["accept-encoding"]) == (authority(other), "a, b", "gzip")
    assert not {"proxy-authorization", "x-hop", "x-forwarded-for"} & {*headers}
    assert (reply.status, reply.body, reply.header("Content-Encoding")) == (201, b"\x1f\x8b raw", "gzip")
    assert [value for name, value in reply.headers if name == "Set-Cookie"] == ["a=1", "b=2"]
    assert trap.requests == ()


def test_a_body_in_chunks_is_passed_on(trap: ImdsServer, other: HTTPServer) -> None:
    other.expect_request("/", method="PUT", data="abcde").respond_with_data("good")
    chunked = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    reply = ask(trap, authority(other), "/", method="PUT", headers=[("Transfer-Encoding", "chunked")], body=chunked)

    assert (reply.status, reply.body) == (200, b"good")


def test_a_reply_to_head_has_no_body_and_keeps_its_length(trap: ImdsServer, other: HTTPServer) -> None:
    other.expect_request("/", method="HEAD").respond_with_data("good")

    reply = ask(trap, authority(other), "/", method="HEAD")
    assert (reply.status, reply.header("Content-Length"), reply.body) == (200, "4", b"")


def test_a_connection_to_the_proxy_goes_on_after_what_was_passed_on(trap: ImdsServer, other: HTTPServer) -> None:
    other.expect_request("/").respond_with_data("good")
    with Wire(trap) as wire:
        for target, body in (("/", b"good"), ("/nowhere", None), ("/", b"good")):
            wire.send(request(f"http://{authority(other)}{target}"))
            reply = wire.reply()
            assert body in (None, reply.body)
        wire.send(request(INSTANCE))
        assert wire.reply().status == 200
    other.clear()  # of the request that nothing was expected for


def test_who_cannot_be_reached_is_a_bad_gateway(trap: ImdsServer) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # it does not listen
        port = nobody.getsockname()[1]
        reply = ask(trap, f"127.0.0.1:{port}", "/")

    assert (reply.status, reply.header("Content-Type")) == (502, "text/plain; charset=utf-8")
    assert f"cannot reach 127.0.0.1:{port}".encode() in reply.body


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "127.0.0.1:99999"])
def test_who_cannot_exist_is_a_bad_gateway_and_the_connection_goes_on(trap: ImdsServer, host: str) -> None:
    with Wire(trap) as wire:
        wire.send(request(f"http://{host}/", method="POST", headers=[("Content-Length", "3")], body=b"abc"))
        assert wire.reply().status == 502
        wire.send(request(INSTANCE))
        assert wire.reply().status == 200


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:168.63.129.16"])
def test_nothing_is_passed_on_to_azures_host_whatever_it_is_called(
    trap: ImdsServer, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    found = [(family, socket.SOCK_STREAM, 6, "", (one, 80)) for one in ("192.0.2.1", address)]
    resolve = socket.getaddrinfo
    named = "metadata.example"
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *on, **of: found if host == named else resolve(host, *on, **of)
    )

    for host in (named, "169.254.169.254:81"):
        assert ask(trap, host).status == 200
    assert [recorded.headers["host"] for recorded in trap.requests] == [named, "169.254.169.254:81"]


def test_what_is_for_another_server_of_the_test_is_recorded_there(
    trap: ImdsServer, make_imds_server: ServerFactory
) -> None:
    second = make_imds_server("windows")  # later than the trap

    reply = ask(trap, authority(second), f"{INSTANCE}&format=json")
    (recorded,) = second.requests
    assert (reply.status, second.vm.name.encode() in reply.body, recorded.proxied) == (200, True, True)
    assert trap.requests == ()
    assert ask(second, authority(trap)).status == 200
    assert len(trap.requests) == 1


def test_what_is_passed_on_is_no_longer_when_its_test_is_over(imds_server: ImdsServer) -> None:
    """The trap of the tests before is gone; the listening socket is the same."""
    assert imds_server.trap is None
