"""``ImdsServer`` is a ``pytest_httpserver.HTTPServer``: what that one can do, it can do."""

from __future__ import annotations

import http.client
import json

import pytest
from pytest_httpserver import HTTPServer, RequestMatcher, WaitingSettings
from werkzeug import Request, Response

from pytest_imds import ImdsServer, ImdsServerError
from tests.http.wire import INSTANCE, METADATA, TIMEOUT_S, Reply, Wire, error, fetch, request


def from_imds(reply: Reply) -> bool:
    """Say whether IMDS answered, not a handler."""
    return (reply.header("Server") or "").startswith("IMDS/")


def test_fixture_is_an_httpserver(imds_server: ImdsServer) -> None:
    assert isinstance(imds_server, HTTPServer)
    assert imds_server.is_running()


@pytest.mark.parametrize("suffix", ["/metadata/instance", "metadata/instance"])
def test_url_for_leads_to_the_server(imds_server: ImdsServer, suffix: str) -> None:
    assert imds_server.url_for(suffix) == f"http://127.0.0.1:{imds_server.port}/metadata/instance"
    assert imds_server.url_for(suffix).startswith(imds_server.url)


def test_expected_request_is_answered_each_time(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_data("mine")
    assert [fetch(imds_server, "/own").body for _ in range(3)] == [b"mine"] * 3


def test_expected_oneshot_request_is_answered_once(imds_server: ImdsServer) -> None:
    imds_server.expect_oneshot_request("/own").respond_with_data("mine")
    assert fetch(imds_server, "/own").body == b"mine"
    assert fetch(imds_server, "/own").told == error("outside-metadata")


@pytest.mark.parametrize("register", ["expect_request", "expect_oneshot_request", "expect_ordered_request"])
def test_handler_answers_before_imds(imds_server: ImdsServer, register: str) -> None:
    getattr(imds_server, register)("/metadata/instance").respond_with_data("mine")
    assert fetch(imds_server, INSTANCE, headers=[]).body == b"mine"


def test_imds_answers_what_no_handler_expects(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/metadata/instance/compute").respond_with_data("mine")
    imds_server.expect_request("/metadata/instance", method="POST").respond_with_data("posted")
    assert from_imds(fetch(imds_server, INSTANCE))
    assert fetch(imds_server, INSTANCE, method="POST").body == b"posted"


def test_ordered_requests_are_answered_in_order(imds_server: ImdsServer) -> None:
    for name in ("one", "two"):
        imds_server.expect_ordered_request(f"/{name}").respond_with_data(name)
    assert [fetch(imds_server, f"/{name}").body for name in ("one", "two")] == [b"one", b"two"]


def test_ordered_request_out_of_order_fails_and_all_after_it(imds_server: ImdsServer) -> None:
    for name in ("one", "two"):
        imds_server.expect_ordered_request(f"/{name}").respond_with_data(name)
    assert [fetch(imds_server, f"/{name}").status for name in ("two", "one")] == [500, 500]
    with pytest.raises(ImdsServerError, match=r"(?s)2 problems.*No handler found.*All requests will be permanently"):
        imds_server.check()


def test_request_that_nobody_expects_goes_to_imds_between_ordered_ones(imds_server: ImdsServer) -> None:
    for name in ("one", "two"):
        imds_server.expect_ordered_request(f"/{name}").respond_with_data(name)
    assert fetch(imds_server, "/one").body == b"one"
    assert from_imds(fetch(imds_server, INSTANCE))
    assert fetch(imds_server, "/two").body == b"two"
    assert from_imds(fetch(imds_server, INSTANCE))


@pytest.mark.parametrize("register", ["expect_request", "expect_oneshot_request"])
def test_handler_of_a_metadata_path_is_not_passed_over_while_ordered_ones_wait(
    imds_server: ImdsServer, register: str
) -> None:
    imds_server.expect_ordered_request("/one").respond_with_data("one")
    getattr(imds_server, register)("/metadata/instance").respond_with_data("mine")
    assert not from_imds(fetch(imds_server, INSTANCE))
    # Whether it is answered or out of order, it is not for IMDS: both are right here.
    imds_server.clear()


def test_log_has_every_request_with_its_response(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_data("mine")
    fetch(imds_server, "/own")
    fetch(imds_server, INSTANCE)
    fetch(imds_server, "/metadata/instance", headers=[])
    logged = [(got.path, got.query_string, sent.status_code) for got, sent in imds_server.log]
    assert logged == [
        ("/own", b"", 200),
        ("/metadata/instance", b"api-version=2021-02-01", 200),
        ("/metadata/instance", b"", 400),
    ]
    assert imds_server.log[1][1].get_json()["compute"]["vmId"] == imds_server.vm.vm_id


def test_log_has_a_request_before_its_reply_arrives(imds_server: ImdsServer) -> None:
    for number in range(1, 51):
        with Wire(imds_server) as wire:
            wire.send(request(INSTANCE))
            wire.head()
            assert len(imds_server.log) == number


def test_assert_request_made_passes(imds_server: ImdsServer) -> None:
    fetch(imds_server, INSTANCE)
    fetch(imds_server, INSTANCE)
    imds_server.assert_request_made(RequestMatcher("/metadata/instance", headers={"Metadata": "true"}), count=2)
    imds_server.assert_request_made(RequestMatcher("/metadata/versions"), count=0)


def test_assert_request_made_fails(imds_server: ImdsServer) -> None:
    fetch(imds_server, INSTANCE)
    with pytest.raises(AssertionError, match="Matching request found 0 times but expected 1 times"):
        imds_server.assert_request_made(RequestMatcher("/metadata/instance", method="PUT"))


def test_iter_matching_requests_finds_those_of_imds(imds_server: ImdsServer) -> None:
    fetch(imds_server, INSTANCE)
    found = list(imds_server.iter_matching_requests(RequestMatcher("/metadata/instance")))
    assert [got.headers["Metadata"] for got, _ in found] == ["true"]


def test_wait_ends_when_the_handlers_have_answered(imds_server: ImdsServer) -> None:
    imds_server.expect_oneshot_request("/own").respond_with_data("mine")
    with imds_server.wait(raise_assertions=True, stop_on_nohandler=True, timeout=TIMEOUT_S) as waiting:
        assert from_imds(fetch(imds_server, INSTANCE))
        fetch(imds_server, "/own")
    assert waiting.result


def test_wait_tells_when_the_time_is_up(imds_server: ImdsServer) -> None:
    imds_server.expect_oneshot_request("/own").respond_with_data("mine")
    with imds_server.wait(raise_assertions=False, timeout=0.01) as waiting:
        pass
    assert not waiting.result


def test_default_waiting_settings_can_be_set(imds_server: ImdsServer) -> None:
    imds_server.default_waiting_settings = WaitingSettings(raise_assertions=False, timeout=0.01)
    imds_server.expect_oneshot_request("/own").respond_with_data("mine")
    with imds_server.wait() as waiting:
        pass
    assert not waiting.result


@pytest.mark.skipif(not hasattr(HTTPServer, "bake"), reason="pytest-httpserver has bake() from 1.1.5 on")
def test_bake_keeps_its_defaults(imds_server: ImdsServer) -> None:
    posts = imds_server.bake(method="POST")
    posts.expect_request("/own").respond_with_data("posted")
    assert fetch(imds_server, "/own", method="POST").body == b"posted"
    assert fetch(imds_server, "/own").status == 404
    assert posts.url_for("/own") == imds_server.url_for("/own")


def test_json_is_responded_with(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_json({"a": [1]}, status=201, headers={"X-Own": "yes"})
    reply = fetch(imds_server, "/own")
    assert (reply.status, json.loads(reply.body), reply.header("X-Own")) == (201, {"a": [1]}, "yes")
    assert reply.header("Content-Type") == "application/json"
    assert reply.header("Content-Length") == str(len(reply.body))


def test_data_is_responded_with(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_data(b"\x00\xff", content_type="application/octet-stream")
    reply = fetch(imds_server, "/own")
    assert reply.told == (200, "application/octet-stream", b"\x00\xff")


def test_response_is_responded_with_unchanged(imds_server: ImdsServer) -> None:
    response = Response("Too many requests", 429, {"Retry-After": "1"})
    imds_server.expect_request("/own").respond_with_response(response)
    reply = fetch(imds_server, "/own")
    assert (reply.status, reply.body, reply.header("Retry-After")) == (429, b"Too many requests", "1")


@pytest.mark.parametrize("given", ["a string", None])
def test_handler_may_return_a_string_or_nothing(imds_server: ImdsServer, given: str | None) -> None:
    imds_server.expect_request("/own").respond_with_handler(lambda _: given)  # type: ignore[arg-type,return-value]
    assert fetch(imds_server, "/own").body == (given or "").encode()


def test_handler_sees_the_request(imds_server: ImdsServer) -> None:
    def echo(got: Request) -> Response:
        return Response(f"{got.method} {got.full_path} {got.headers['X-Own']} {got.get_data().decode()}")

    imds_server.expect_request("/own").respond_with_handler(echo)
    headers = [("X-Own", "yes"), ("Content-Length", "4")]
    assert fetch(imds_server, "/own?a=1", method="PUT", headers=headers, body=b"body").body == b"PUT /own?a=1 yes body"


def test_post_hook_changes_the_response(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").with_post_hook(
        lambda _, sent: Response(b"hooked " + sent.data)
    ).respond_with_data("mine")
    assert fetch(imds_server, "/own").body == b"hooked mine"


def test_response_without_a_length_is_chunked_and_the_connection_kept(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_handler(lambda _: Response(iter(["one ", "", "two"])))
    connection = http.client.HTTPConnection("127.0.0.1", imds_server.port, timeout=TIMEOUT_S)
    for _ in range(2):
        connection.request("GET", "/own")
        reply = connection.getresponse()
        assert reply.getheader("Transfer-Encoding") == "chunked"
        assert reply.getheader("Content-Length") is None
        assert reply.read() == b"one two"
        assert connection.sock is not None
    connection.close()


def test_response_without_a_length_ends_with_the_connection_for_http_1_0(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_handler(lambda _: Response(iter(["one ", "two"])))
    with Wire(imds_server) as wire:
        wire.send(b"GET /own HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head, body = wire.rest().split(b"\r\n\r\n", 1)
    assert body == b"one two"
    assert b"transfer-encoding" not in head.lower()


@pytest.mark.parametrize("status", [204, 304])
def test_response_that_has_no_body_keeps_the_connection(imds_server: ImdsServer, status: int) -> None:
    imds_server.expect_request("/own").respond_with_data("", status=status)
    connection = http.client.HTTPConnection("127.0.0.1", imds_server.port, timeout=TIMEOUT_S)
    for target in ("/own", INSTANCE):
        connection.request("GET", target, headers=dict(METADATA))
        reply = connection.getresponse()
        assert reply.status == (status if target == "/own" else 200)
        assert (reply.read() == b"") is (target == "/own")
    connection.close()


def test_handler_that_answers_head_sends_no_body(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_data("mine")
    reply = fetch(imds_server, "/own", method="HEAD")
    assert (reply.status, reply.header("Content-Length"), reply.body) == (200, "4", b"")


def test_request_without_a_response_is_reported(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own")
    assert fetch(imds_server, "/own").status == 500
    with pytest.raises(ImdsServerError, match=r"(?s)GET /own:\n.*no response defined: GET /own"):
        imds_server.check()
