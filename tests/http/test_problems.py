"""What goes wrong inside the server fails the test, all of it in one message."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest
from werkzeug import Request, Response
from werkzeug.exceptions import abort

from pytest_imds import ImdsServer, ImdsServerError
from tests.http.wire import INSTANCE, TIMEOUT_S, Wire, fetch, request


def problems(server: ImdsServer) -> str:
    """Return the message that the end of a test would fail with."""
    with pytest.raises(ImdsServerError) as raised:
        server.check()
    return str(raised.value)


def raises_lookup_error(_: Request) -> Response:
    raise LookupError("no such thing")


def asserts(got: Request) -> Response:
    assert got.headers.get("X-Own") == "yes", "X-Own is missing"
    return Response("fine")


@pytest.fixture
def lone_server() -> Iterator[ImdsServer]:
    """A server with a listening socket of its own: a thread that dies there harms no other test."""
    server = ImdsServer()
    server.start()
    yield server
    server.stop()


def test_nothing_is_raised_where_nothing_went_wrong(imds_server: ImdsServer) -> None:
    fetch(imds_server, INSTANCE)
    fetch(imds_server, "/metadata/nothing", headers=[])
    imds_server.check()


def test_exception_of_a_handler_is_told_with_its_request_and_traceback(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_handler(raises_lookup_error)
    assert fetch(imds_server, "/own?a=1").status == 500
    told = problems(imds_server)
    assert told.startswith("1 problem inside the IMDS server during this test:")
    assert "while it answered GET /own?a=1:" in told
    assert 'raise LookupError("no such thing")' in told
    assert told.endswith("LookupError: no such thing")


def test_traceback_begins_in_the_code_of_the_user(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_handler(raises_lookup_error)
    fetch(imds_server, "/own")
    first = next(line for line in problems(imds_server).splitlines() if line.lstrip().startswith("File "))
    assert "test_problems.py" in first
    assert "in raises_lookup_error" in first


def test_assertion_of_a_handler_is_told_with_its_request(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_handler(asserts)
    assert fetch(imds_server, "/own").status == 500
    told = problems(imds_server)
    assert "while it answered GET /own:" in told
    assert "X-Own is missing" in told


def test_all_problems_are_told_in_one_message_in_their_order(imds_server: ImdsServer) -> None:
    paths = ("/first", "/second", "/third")
    for path, handler in zip(paths, (raises_lookup_error, asserts, raises_lookup_error), strict=True):
        imds_server.expect_request(path).respond_with_handler(handler)
        fetch(imds_server, path)
    told = problems(imds_server)
    assert told.startswith("3 problems inside the IMDS server during this test:")
    places = [told.index(f"{number}. while it answered GET {path}:") for number, path in enumerate(paths, start=1)]
    assert places == sorted(places)


def test_exception_that_two_requests_met_is_told_with_both(imds_server: ImdsServer) -> None:
    mistake = LookupError("no such thing")

    def raises_the_same(_: Request) -> Response:
        raise mistake

    for path in ("/first", "/second"):
        imds_server.expect_request(path).respond_with_handler(raises_the_same)
        fetch(imds_server, path)
    told = problems(imds_server)
    assert "GET /first, GET /second:" in told
    assert "GET /second:" in told


def test_problems_are_told_once(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_handler(raises_lookup_error)
    fetch(imds_server, "/own")
    problems(imds_server)
    imds_server.check()


def test_problem_that_the_test_has_looked_at_is_not_told_again(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_handler(raises_lookup_error)
    fetch(imds_server, "/own")
    with pytest.raises(LookupError):
        imds_server.check_handler_errors()
    imds_server.check()


def test_assertion_that_the_test_adds_is_told(imds_server: ImdsServer) -> None:
    imds_server.add_assertion("this is wrong")
    imds_server.add_assertion(AssertionError("and this"))
    told = problems(imds_server)
    assert "2 problems" in told
    assert "this is wrong" in told
    assert "and this" in told


def test_clear_forgets_problems_handlers_and_log(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_handler(raises_lookup_error)
    fetch(imds_server, "/own")
    imds_server.clear()
    imds_server.check()
    assert imds_server.log == []
    assert fetch(imds_server, "/own").status == 404


def test_failing_handler_closes_its_connection_and_the_next_is_answered(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_handler(raises_lookup_error)
    with Wire(imds_server) as wire:
        wire.send(request("/own"))
        reply = wire.reply()
        assert (reply.status, reply.header("Connection")) == (500, "close")
        assert wire.rest() == b""
    assert fetch(imds_server, INSTANCE).status == 200
    problems(imds_server)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [(pytest.fail.Exception("not this request"), "not this request"), (SystemExit(3), "SystemExit: 3")],
    ids=["pytest.fail", "sys.exit"],
)
def test_handler_that_wants_to_end_the_test_is_told(
    lone_server: ImdsServer, outcome: BaseException, words: str
) -> None:
    def ends(_: Request) -> Response:
        raise outcome

    lone_server.expect_request("/own").respond_with_handler(ends)
    assert fetch(lone_server, "/own").status == 500
    told = problems(lone_server)
    assert "while it answered GET /own:" in told
    assert words in told


def test_body_that_fails_half_way_is_told_and_never_looks_complete(imds_server: ImdsServer) -> None:
    def half(length: int | None) -> Response:
        def parts() -> Iterator[str]:
            yield "half of it "
            raise LookupError("the other half is missing")

        return Response(parts(), headers={} if length is None else {"Content-Length": str(length)})

    imds_server.expect_request("/measured").respond_with_handler(lambda _: half(22))
    imds_server.expect_request("/chunked").respond_with_handler(lambda _: half(None))
    for path in ("/measured", "/chunked"):
        connection = http.client.HTTPConnection("127.0.0.1", imds_server.port, timeout=TIMEOUT_S)
        connection.request("GET", path)
        reply = connection.getresponse()
        with pytest.raises(http.client.IncompleteRead) as cut_off:
            reply.read()
        connection.close()
        assert cut_off.value.partial == b"half of it "
    told = problems(imds_server)
    assert "GET /measured:" in told
    assert "GET /chunked:" in told


def test_header_that_cannot_be_sent_is_told(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_data("mine", headers={"X-Own": "名前"})
    assert fetch(imds_server, "/own").status == 500
    assert "GET /own:" in problems(imds_server)


def test_abort_in_a_handler_answers_with_its_status_and_is_told(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_handler(lambda _: abort(404))
    reply = fetch(imds_server, "/own")
    assert reply.status == 404
    assert b"The requested URL was not found" in reply.body
    told = problems(imds_server)
    assert "404 Not Found" in told
    assert "while it answered GET /own:" in told


def test_abort_in_a_handler_keeps_the_connection(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/own").respond_with_handler(lambda _: abort(404))
    with Wire(imds_server) as wire:
        for _ in range(2):
            wire.send(request("/own"))
            assert wire.reply().status == 404
    problems(imds_server)


def test_handler_s_exception_does_not_reach_the_log_but_later_requests_do(imds_server: ImdsServer) -> None:
    imds_server.expect_oneshot_request("/own").respond_with_handler(raises_lookup_error)
    fetch(imds_server, "/own")
    fetch(imds_server, INSTANCE)
    assert [got.path for got, _ in imds_server.log] == ["/metadata/instance"]
    problems(imds_server)
