"""The guard: what would reach the machine's own metadata service is not sent, and the test is told."""

from __future__ import annotations

import pickle
import socket
from typing import Any

import pytest

from pytest_imds import ImdsError, ImdsGuardError
from tests.plugin.conftest import Run

ASKS = """
import asyncio
import socket
from urllib.request import Request, urlopen

import pytest
from pytest_imds import ImdsGuardError

def ask(host="169.254.169.254", port=80):
    url = f"http://{host}:{port}/metadata/instance/compute/name?api-version=2021-02-01&format=text"
    with urlopen(Request(url, headers={"Metadata": "true"}), timeout=5) as reply:
        return reply.read().decode()

"""
FAILS = ASKS + "def test_asks():\n    ask()\n"
real: Any = socket.socket


def test_an_error_of_the_guard_is_no_error_of_the_network() -> None:
    error = ImdsGuardError.no_server("test_it.py::test_asks (call)", "169.254.169.254", 80)
    assert isinstance(error, ImdsError)
    assert not isinstance(error, OSError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("how", ["option", "ini"])
def test_a_connection_that_no_server_answers_fails_and_the_error_names_the_test(
    pytester: pytest.Pytester, run: Run, how: str
) -> None:
    pytester.makepyfile(test_it=FAILS)
    result = run("--imds-guard") if how == "option" else run(ini=("imds_guard = true",))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*ImdsGuardError: test_it.py::test_asks (call) wanted to connect to 169.254.169.254:80, where no server *",
            "*nothing was sent: on Azure the machine's own metadata service would have answered, elsewhere nobody",
            "*imds_redirect, or @pytest.mark.imds(redirect=True); for other programs imds_server.run()",
        ]
    )


def test_without_the_option_nothing_is_guarded(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        "import _socket, socket\ndef test_it():\n    assert socket.socket.connect is _socket.socket.connect\n"
    )
    run().assert_outcomes(passed=1)
    run("--imds-guard").assert_outcomes(failed=1)


def test_every_address_and_port_is_guarded_and_asyncio_too(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        ASKS
        + """
@pytest.mark.parametrize("host", ["169.254.169.254", "168.63.129.16", "2852039166", "[::ffff:169.254.169.254]"])
@pytest.mark.parametrize("port", [80, 32526])
def test_it(host, port):
    with pytest.raises(ImdsGuardError, match=f":{port}, where no server"):
        ask(host, port)

def test_asyncio():
    with pytest.raises(ImdsGuardError):
        asyncio.run(asyncio.open_connection("169.254.169.254", 80))
"""
    )
    run("--imds-guard").assert_outcomes(passed=9)


def test_servers_of_tests_are_reached(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        ASKS
        + """
def test_redirected(imds_redirect, imds_vm):
    assert ask() == imds_vm.name

def test_url(imds_server, imds_vm):
    assert ask("127.0.0.1", imds_server.port) == imds_vm.name

def test_the_server_alone_is_not_enough(imds_server):
    with pytest.raises(ImdsGuardError):
        ask()
"""
    )
    run("--imds-guard").assert_outcomes(passed=3)


@pytest.mark.parametrize(("where", "phase"), [("before", "setup"), ("after", "teardown")], ids=["setup", "teardown"])
def test_fixtures_are_guarded(pytester: pytest.Pytester, run: Run, where: str, phase: str) -> None:
    steps = {"before": "ask()\n    yield", "after": "yield\n    ask()"}[where]
    pytester.makepyfile(test_it=f"{ASKS}@pytest.fixture\ndef agent():\n    {steps}\n\ndef test_it(agent):\n    pass\n")
    result = run("--imds-guard")
    assert result.parseoutcomes()["errors"] == 1
    result.stdout.fnmatch_lines([f"*ImdsGuardError: test_it.py::test_it ({phase}) wanted to connect *"])


def test_what_is_done_while_tests_are_collected_is_guarded(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # that of this test
    pytester.makepyfile(f"{ASKS}ask()\n")
    result = run("--imds-guard")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ImdsGuardError: code outside of any test wanted to connect to 169.254.169.254:80*"])


def test_who_puts_the_original_back_is_guarded_again(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        ASKS
        + """
import _socket

@pytest.fixture(autouse=True)
def careless():
    yield
    socket.socket.connect = _socket.socket.connect

@pytest.mark.parametrize("number", range(3))
def test_it(number):
    with pytest.raises(ImdsGuardError):
        ask()

def test_in_a_fixture(request):
    request.getfixturevalue("late")

@pytest.fixture
def late():
    socket.socket.connect = _socket.socket.connect
    yield

@pytest.fixture
def later(late):
    with pytest.raises(ImdsGuardError):
        ask()

def test_late(later):
    pass
"""
    )
    run("--imds-guard").assert_outcomes(passed=5)
    del real.connect


def test_the_guard_ends_with_the_run(pytester: pytest.Pytester, run: Run) -> None:
    before = [real.connect, real.connect_ex]
    pytester.makepyfile(FAILS)
    run("--imds-guard").assert_outcomes(failed=1)
    assert [real.connect, real.connect_ex] == before


def test_the_command_to_have_it_again_has_the_guard(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(f"{ASKS}def test_it(imds_server):\n    ask()\n")
    run("--imds-guard").stdout.fnmatch_lines(["again: pytest * --imds-seed=0 --imds-guard"])
    run(ini=("imds_guard = true",)).stdout.fnmatch_lines(["again: pytest * --imds-seed=0"])


def test_the_client_s_line_is_the_last_that_is_shown(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(test_it=FAILS)
    shown = run("--imds-guard", "--tb=short").stdout.str()
    assert "sock.connect(sa)" in shown
    assert "pytest_imds/" not in shown
