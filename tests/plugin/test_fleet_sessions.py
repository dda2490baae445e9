"""Fleets in a session: what a failure tells, what a seed gives, what the next test finds of the last one's."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from tests.plugin.conftest import Run
from tests.plugin.fleets import passes, write


def test_failures_inside_several_servers_are_one_message(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
    def fails(request):
        raise LookupError(f"no such thing as {request.path}")

    def test_fails(make_imds_server, imds_server):
        for number, server in enumerate([imds_server, make_imds_server(), *make_imds_server(count=2)]):
            if number != 1:
                server.expect_request(f"/{number}").respond_with_handler(fails)
                assert get(server, f"/{number}")[0] == 500

    def test_next(make_imds_server):
        assert [get(server)[0] for server in make_imds_server(count=4)] == [200] * 4
    """,
    )
    result = run()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_fails*",
            "3 problems inside the IMDS server during this test:",
            "1. while it answered GET /0:",
            "LookupError: no such thing as /0",
            "2. while it answered GET /2:",
            "3. while it answered GET /3:",
        ]
    )


def test_the_report_of_a_failure_names_every_vm_and_the_seed(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
    def test_fails(make_imds_server, pytestconfig):
        servers = [make_imds_server("windows"), *make_imds_server("scale-set", count=2)]
        names = [[server.vm.profile, server.vm.name] for server in servers]
        (pytestconfig.rootpath / "names.json").write_text(json.dumps(names))
        assert False

    def test_fails_without_servers(make_imds_server):
        assert False
    """,
    )
    result = run("--imds-seed=7")
    result.assert_outcomes(failed=2)
    named = json.loads((pytester.path / "names.json").read_text())
    assert [profile for profile, _ in named] == ["windows", "scale-set", "scale-set"]
    result.stdout.fnmatch_lines(
        [
            "* IMDS traffic *",
            *(f"VM: profile {profile}, name {name}, at http://127.0.0.1:*" for profile, name in named),
            "again: pytest test_it.py::test_fails --imds-seed=7",
            "* IMDS traffic *",
            "again: pytest test_it.py::test_fails_without_servers --imds-seed=7",
        ],
        consecutive=False,
    )


RECORDED = """
    @pytest.mark.parametrize("n", range(2))
    def test_it(make_imds_server, imds_server, pytestconfig, request, n):
        servers = [imds_server, *make_imds_server("scale-set", count=2), make_imds_server(), make_imds_server()]
        events = [server.events.schedule("Reboot").event_id for server in servers]
        assert len(set(events)) == 5
        told = [[repr(server.vm) for server in servers], events]
        (pytestconfig.rootpath / f"{request.node.name}.json").write_text(json.dumps(told))
"""


def recorded(pytester: pytest.Pytester) -> dict[str, Any]:
    files = sorted(pytester.path.glob("test_it*.json"))
    found = {path.stem: json.loads(path.read_text()) for path in files}
    for path in files:
        path.unlink()
    return found


def test_the_same_seed_gives_the_same_vms_and_ids(pytester: pytest.Pytester, run: Run) -> None:
    write(pytester, RECORDED)
    runs = []
    for arguments in ([], ["test_it.py::test_it[1]", "test_it.py::test_it[0]"], ["--imds-seed=1"]):
        run(*arguments).assert_outcomes(passed=2)
        runs.append(recorded(pytester))

    assert runs[0] == runs[1]
    vms = [vm for told in (*runs[0].values(), *runs[2].values()) for vm in told[0]]
    assert len(set(vms)) == len(vms) == 20


def test_sockets_and_threads_are_used_again_by_the_next_test(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    PORTS, THREADS = [], []

    @pytest.mark.parametrize("n", range(5))
    def test_it(make_imds_server, n):
        servers = make_imds_server(count=3)
        assert [get(server) for server in servers] == [(200, server.vm.vm_id) for server in servers]
        PORTS.append({server.port for server in servers})
        THREADS.append(threading.active_count())
        assert PORTS[0] == PORTS[-1]
        # A socket has a thread that waits and one that answers.
        assert THREADS[-1] <= THREADS[0] + 3
    """,
        count=5,
    )


def test_no_thread_outlives_the_session(pytester: pytest.Pytester, run: Run) -> None:
    before = set(threading.enumerate())
    passes(
        pytester,
        run,
        """
    def test_it(make_imds_server):
        assert [get(server)[0] for server in make_imds_server(count=4)] == [200] * 4
    """,
    )
    left = [thread for thread in threading.enumerate() if thread not in before and thread.name == "imds-server"]
    for thread in left:
        thread.join(5)

    assert [thread for thread in left if thread.is_alive()] == []


def test_nothing_of_a_fleet_reaches_the_next_test(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    @pytest.mark.parametrize("n", range(2))
    def test_it(make_imds_server, n):
        servers = make_imds_server("scale-set", count=2)
        for server in servers:
            assert get(server, EVENTS) == (200, '{"DocumentIncarnation":1,"Events":[]}')
            assert (server.log[1:], server.assertions, server.handler_errors) == ([], [], [])
            assert get(server, "/own")[0] == 404
            server.expect_request("/own").respond_with_data("mine")
            server.vm.location = "atlantis"
            server.events.first_call_s = 5
        servers[0].events.schedule("Reboot")
        assert make_imds_server().vm.location != "atlantis"
    """,
        count=2,
    )


def test_a_server_keeps_its_port_over_a_restart_whatever_ran_before(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    def test_before(make_imds_server):
        make_imds_server(count=3)

    def test_it(imds_server):
        port = imds_server.port
        imds_server.stop()
        imds_server.start()
        assert imds_server.port == port
        assert get(imds_server) == (200, imds_server.vm.vm_id)
    """,
        count=2,
    )


def test_a_server_has_the_port_that_it_is_asked_for_whatever_ran_before(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    import socket

    def test_before(make_imds_server):
        make_imds_server(count=2)

    def test_it(make_imds_server):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        assert make_imds_server(port=port).port == port
    """,
        count=2,
    )
