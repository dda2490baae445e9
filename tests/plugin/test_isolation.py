"""Nothing of a test reaches another one, in any order, however the test has left its server."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Run

CLIENT = """
    import http.client
    import threading
    from contextlib import closing, suppress

    import pytest
    from werkzeug import Response

    VM_ID = "/metadata/instance/compute/vmId?api-version=2021-02-01&format=text"

    def get(server, target=VM_ID):
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
            connection.request("GET", target, headers={"Metadata": "true"})
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
"""
# A test that leaves as much behind as it can, and one that has to find nothing of it.
LEAVES = """
    def test_leaves(imds_server, imds_vm):
        imds_server.expect_request("/metadata/instance").respond_with_data("mine")
        imds_server.expect_oneshot_request("/own").respond_with_data("mine")
        imds_server.expect_ordered_request("/own").respond_with_data("mine")
        imds_server.no_handler_status_code = 418
        imds_vm.location = "atlantis"
        imds_vm.tags["left"] = "behind"
        imds_vm.override("/compute/licenseType", "left behind")
        get(imds_server, "/nothing")
        assert len(imds_server.log) == 1
"""
FINDS = """
    def test_finds_nothing(imds_server, imds_vm):
        assert imds_server.log == []
        assert imds_server.assertions == [] and imds_server.handler_errors == []
        assert imds_server.no_handler_status_code == 500
        assert imds_vm.overrides == {}
        assert get(imds_server, "/own")[0] == 404
        status, body = get(imds_server, "/metadata/instance?api-version=2021-02-01")
        assert status == 200
        assert "atlantis" not in body and "behind" not in body
        assert imds_vm.vm_id in body
"""


def write(pytester: pytest.Pytester, *sources: str) -> None:
    """Write a file of tests that share the client."""
    pytester.makepyfile(test_it="\n".join([CLIENT, *sources]))


@pytest.mark.parametrize("order", [1, -1], ids=["before", "after"])
def test_nothing_is_left_behind(pytester: pytest.Pytester, run: Run, order: int) -> None:
    write(pytester, LEAVES, FINDS)
    names = ["test_it.py::test_leaves", "test_it.py::test_finds_nothing"]
    run(*names[::order]).assert_outcomes(passed=2)


def test_session_has_one_listening_socket(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
    PORTS = set()

    @pytest.mark.parametrize("n", range(5))
    def test_it(imds_server, n):
        assert get(imds_server) == (200, imds_server.vm.vm_id)
        PORTS.add(imds_server.port)
        assert len(PORTS) == 1
    """,
    )
    run().assert_outcomes(passed=5)


def test_end_of_the_session_closes_the_socket(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
    def test_it(imds_server, pytestconfig):
        (pytestconfig.rootpath / "port").write_text(str(imds_server.port))
    """,
    )
    run().assert_outcomes(passed=1)
    pytester.makepyfile(
        test_it="""
    import socket
    from pathlib import Path

    def test_it(pytestconfig):
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", int((pytestconfig.rootpath / "port").read_text()))) != 0
    """
    )
    run().assert_outcomes(passed=1)


def test_kept_connection_of_an_earlier_test_is_closed(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
    KEPT = []

    def test_keeps(imds_server):
        connection = http.client.HTTPConnection("127.0.0.1", imds_server.port, timeout=5)
        connection.request("GET", VM_ID, headers={"Metadata": "true"})
        assert connection.getresponse().read().decode() == imds_server.vm.vm_id
        KEPT.append(connection.sock)

    def test_finds_it_closed(imds_server):
        assert KEPT[0].recv(1) == b""
        KEPT.pop().close()
        assert imds_server.log == []
    """,
    )
    run().assert_outcomes(passed=2)


def test_server_that_a_test_has_stopped_is_back_in_the_next(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
    def test_stops(imds_server):
        imds_server.stop()
        with pytest.raises(ConnectionRefusedError):
            get(imds_server)

    def test_stops_and_starts(imds_server):
        assert get(imds_server) == (200, imds_server.vm.vm_id)
        imds_server.stop()
        imds_server.start()
        assert get(imds_server) == (200, imds_server.vm.vm_id)

    def test_next(imds_server):
        assert get(imds_server) == (200, imds_server.vm.vm_id)
    """,
    )
    run().assert_outcomes(passed=3)


STILL_ANSWERING = """
    released = threading.Event()
    clients = []

    def ask(server):
        with suppress(OSError, http.client.HTTPException):
            get(server, "/slow")

    def test_leaves(imds_server):
        entered = threading.Event()

        def slow(_):
            entered.set()
            released.wait(30)
            assert False, "too late"

        imds_server.expect_request("/slow").respond_with_handler(slow)
        clients.append(threading.Thread(target=ask, args=[imds_server], daemon=True))
        clients[0].start()
        assert entered.wait(5)

    def test_next(imds_server):
        assert get(imds_server) == (200, imds_server.vm.vm_id)
        released.set()
        clients[0].join(5)
        assert not clients[0].is_alive()
        assert get(imds_server)[0] == 200
        assert len(imds_server.log) == 2

    def test_after_that(imds_server):
        assert get(imds_server) == (200, imds_server.vm.vm_id)
"""


def took_s(result: pytest.RunResult) -> dict[tuple[str, str], float]:
    """Return how long each part of each test took, from the table of durations."""
    rows = [line.split() for line in result.outlines if "s setup" in line or "s teardown" in line or "s call" in line]
    return {(part, test.rpartition("::")[2]): float(seconds.rstrip("s")) for seconds, part, test in rows}


def test_request_still_being_answered_fails_its_test_after_a_second_and_no_other(
    pytester: pytest.Pytester, run: Run
) -> None:
    write(pytester, STILL_ANSWERING)
    result = run("--durations=0", "-vv")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown of test_leaves*", "*GET /slow was still being answered when the test ended"]
    )
    durations = took_s(result)
    assert 0.5 < durations["teardown", "test_leaves"] < 3
    assert durations["teardown", "test_next"] < 0.5


def test_reply_that_is_almost_there_is_waited_for(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
    ending, clients, replies = threading.Event(), [], []

    @pytest.fixture
    def ends(imds_server):
        yield
        ending.set()

    def test_leaves(imds_server, ends):
        entered = threading.Event()

        def slow(_):
            entered.set()
            return Response(f"ending: {ending.wait(5)}")

        imds_server.expect_request("/slow").respond_with_handler(slow)
        clients.append(threading.Thread(target=lambda: replies.append(get(imds_server, "/slow")), daemon=True))
        clients[0].start()
        assert entered.wait(5)

    def test_next(imds_server):
        clients[0].join(5)
        assert replies == [(200, "ending: True")]
    """,
    )
    run().assert_outcomes(passed=2)


FAILING = """
    def raises(_):
        raise LookupError("no such thing")

    def asserts(_):
        assert 1 == 2, "not the same"
"""


def test_exceptions_of_handlers_fail_their_test_alone_in_one_message(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        FAILING,
        """
    def test_fails(imds_server):
        imds_server.expect_request("/raises").respond_with_handler(raises)
        imds_server.expect_request("/asserts").respond_with_handler(asserts)
        assert get(imds_server, "/raises?a=1")[0] == 500
        assert get(imds_server, "/asserts")[0] == 500

    def test_next(imds_server):
        assert get(imds_server) == (200, imds_server.vm.vm_id)
    """,
    )
    result = run()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_fails*",
            "2 problems inside the IMDS server during this test:",
            "1. while it answered GET /raises[?]a=1:",
            "LookupError: no such thing",
            "2. while it answered GET /asserts:",
            "*AssertionError: not the same*",
        ]
    )
    result.stdout.no_fnmatch_line("*plugin.py*")


def test_failing_test_still_tells_what_failed_inside_the_server(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        FAILING,
        """
    def test_fails(imds_server):
        imds_server.expect_request("/raises").respond_with_handler(raises)
        assert get(imds_server, "/raises")[0] == 200
    """,
    )
    result = run()
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(["1 problem inside the IMDS server during this test:"])


def test_pytest_fail_in_a_handler_fails_its_test_and_slows_no_other(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
    def fails(_):
        pytest.fail("not this request")

    def test_fails(imds_server):
        imds_server.expect_request("/fails").respond_with_handler(fails)
        with suppress(OSError, http.client.HTTPException):
            get(imds_server, "/fails")

    def test_next(imds_server):
        assert get(imds_server) == (200, imds_server.vm.vm_id)
    """,
    )
    result = run("--durations=0", "-vv")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*GET /fails:", "*not this request"])
    assert took_s(result)["teardown", "test_next"] < 0.5
