"""pytest-socket, which puts connect back after every test, and can let no socket be made."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_imds import interceptors
from tests.plugin.conftest import Run

SOCKET = ("-p", "pytest_socket")
# Ways to load it that leave sockets to be made; with a guard of ours, too.
LENIENT = {
    "no option": (),
    "allow 127.0.0.1": ("--allow-hosts=127.0.0.1",),
    "allow another": ("--allow-hosts=10.9.9.9",),
    "disabled but allowed": ("--disable-socket", "--allow-hosts=127.0.0.1"),
    "disabled but forced": ("--disable-socket", "--force-enable-socket"),
}
# What does either, as the row in the data has it.
ENABLE, ALLOW = (
    interceptors.known()["pytest_socket"]["passes"].removesuffix(" in the place of --disable-socket").split(", or ")
)
ASKS = """
import _socket
import asyncio
from contextlib import closing
from urllib.request import Request, urlopen

import pytest

from pytest_imds import ImdsGuardError, ImdsServer

URL = "http://169.254.169.254/metadata/instance/compute/name?api-version=2021-02-01&format=text"

def ask(url=URL):
    with urlopen(Request(url, headers={"Metadata": "true"}), timeout=5) as reply:
        return reply.read().decode()

def ask_below(port):
    # As a program in another language does, beneath what pytest-socket sees.
    with closing(_socket.socket()) as asking:
        asking.settimeout(5)
        asking.connect(("127.0.0.1", port))
        asking.send(b"GET /metadata/instance HTTP/1.1\\r\\nHost: it\\r\\nConnection: close\\r\\n\\r\\n")
        return asking.recv(12)

"""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """It leaves a connect of its own in the class; and all that stands on it has to be gone by then."""
    real: Any = socket.socket
    true, looks_up = real.connect, socket.getaddrinfo  # a hook that an earlier test has left leaves
    before = vars(real).get("connect")
    yield
    assert (socket.socket, socket.getaddrinfo) == (real, looks_up)
    if before is None and "connect" in vars(real):
        assert vars(real)["connect"] is true
        del real.connect


@pytest.fixture(params=[(), ("--imds-guard",)], ids=["no guard", "guard"])
def guard(request: pytest.FixtureRequest) -> tuple[str, ...]:
    options: tuple[str, ...] = request.param
    return options


@pytest.mark.parametrize("options", LENIENT.values(), ids=LENIENT)
def test_tests_in_a_row_reach_the_server(
    pytester: pytest.Pytester, run: Run, guard: tuple[str, ...], options: tuple[str, ...]
) -> None:
    pytester.makepyfile(
        ASKS
        + """
async def connected():
    _, writer = await asyncio.open_connection("169.254.169.254", 80)
    writer.close()
    return writer.get_extra_info("peername")[0]

@pytest.fixture
def agent(imds_redirect, imds_vm):
    # pytest-socket's own teardown has been by the time that this one asks.
    assert ask() == imds_vm.name
    yield
    assert ask() == imds_vm.name

@pytest.mark.parametrize("number", range(3))
def test_name(agent, imds_vm, number, request):
    request.addfinalizer(ask)
    assert ask() == imds_vm.name
    assert asyncio.run(connected()) == "127.0.0.1"
"""
    )
    run(*SOCKET, *guard, *options).assert_outcomes(passed=3)


@pytest.mark.parametrize("options", LENIENT.values(), ids=LENIENT)
def test_the_guard_stands_above_it_in_every_test(pytester: pytest.Pytester, run: Run, options: tuple[str, ...]) -> None:
    pytester.makepyfile(
        ASKS
        + """
def refused():
    with pytest.raises(ImdsGuardError):
        ask()

@pytest.fixture(scope="module", autouse=True)
def agent():
    refused()
    yield
    refused()

@pytest.mark.parametrize("number", range(3))
def test_name(number):
    refused()

def test_redirected(imds_redirect, imds_vm):
    assert ask() == imds_vm.name

@pytest.mark.skip
def test_skipped():
    # The last: the module ends with it.
    pass
"""
    )
    run(*SOCKET, "--imds-guard", *options).assert_outcomes(passed=4, skipped=1)


@pytest.mark.parametrize("fails", ["raise ValueError", "pytest.skip()"])
def test_a_test_that_does_not_come_to_run_is_led_to_the_server_to_its_end(
    pytester: pytest.Pytester, run: Run, fails: str
) -> None:
    pytester.makepyfile(
        ASKS
        + f"""
names = []

@pytest.fixture
def agent(imds_redirect, imds_vm):
    yield
    names.append(ask() == imds_vm.name)

@pytest.fixture
def another(agent):
    {fails}

@pytest.fixture
def third(request, imds_redirect, imds_vm):
    request.addfinalizer(lambda: names.append(ask() == imds_vm.name))
    {fails}

def test_another(another):
    pass

def test_third(third):
    pass

def test_both_have_asked():
    assert names == [True, True]
"""
    )
    outcome = run(*SOCKET).parseoutcomes()
    assert outcome.pop("passed") == 1
    assert outcome in ({"errors": 2}, {"skipped": 2})


def test_without_sockets_there_is_no_server_and_the_error_says_what_to_do(
    pytester: pytest.Pytester, run: Run, guard: tuple[str, ...]
) -> None:
    pytester.makepyfile(ASKS + "def test_name(imds_redirect):\n    pass\n")

    result = run(*SOCKET, *guard, "--disable-socket")

    result.assert_outcomes(errors=1)
    said = result.stdout.str()
    assert "the server needs sockets, and this test must not make any" in said
    assert f"right: {interceptors.known()['pytest_socket']['passes']}" in said
    assert "Traceback" not in said


def test_what_the_error_says_helps(pytester: pytest.Pytester, run: Run, guard: tuple[str, ...]) -> None:
    pytester.makepyfile(ASKS + f"{ENABLE}\ndef test_name(imds_redirect, imds_vm):\n    assert ask() == imds_vm.name\n")

    run(*SOCKET, *guard, "--disable-socket").assert_outcomes(passed=1)
    pytester.makepyfile(ASKS + "def test_name(imds_redirect, imds_vm):\n    assert ask() == imds_vm.name\n")
    run(*SOCKET, *guard, ALLOW).assert_outcomes(passed=1)


def test_names_can_be_looked_up_again_after_a_test_without_sockets(
    pytester: pytest.Pytester, run: Run, guard: tuple[str, ...]
) -> None:
    pytester.makepyfile(
        ASKS
        + """
import socket

@pytest.fixture(scope="module", autouse=True)
def server():
    with ImdsServer() as server, server.redirected():
        yield

@pytest.mark.enable_socket
def test_begins():
    assert socket.getaddrinfo("127.0.0.1", 80)

def test_without_sockets(request):
    with pytest.raises((RuntimeError, UserWarning), match="getaddrinfo"):
        socket.getaddrinfo("127.0.0.1", 80)

@pytest.mark.enable_socket
def test_goes_on():
    assert socket.getaddrinfo("127.0.0.1", 80)
"""
    )
    run(*SOCKET, *guard, "--disable-socket").assert_outcomes(passed=3)


def test_a_server_that_is_there_already_outlives_tests_without_sockets(
    pytester: pytest.Pytester, run: Run, guard: tuple[str, ...]
) -> None:
    pytester.makepyfile(
        ASKS
        + """
ports = []

@pytest.fixture(scope="module")
def server():
    with ImdsServer() as server:
        yield server

@pytest.mark.enable_socket
def test_begins(server, imds_redirect, imds_vm):
    ports.append(imds_redirect.port)
    assert ask() == imds_vm.name
    assert ask(URL.replace("http://169.254.169.254", server.url)) == server.vm.name

@pytest.mark.parametrize("number", range(2))
def test_without_sockets(server, number):
    with pytest.raises((RuntimeError, UserWarning), match="socket"):  # it warns, and warnings are errors here
        ask()
    assert ask_below(server.port) == b"HTTP/1.1 400"
    # Nobody owns the other one at the moment: whoever comes is sent away, and the thread that does so stays.
    with pytest.raises(ConnectionError):
        assert ask_below(*ports) == b""
        raise ConnectionError

@pytest.mark.enable_socket
def test_goes_on(server, imds_redirect, imds_vm):
    assert [imds_redirect.port] == ports
    assert ask() == imds_vm.name
    assert ask(URL.replace("http://169.254.169.254", server.url)) == server.vm.name
"""
    )
    run(*SOCKET, *guard, "--disable-socket").assert_outcomes(passed=4)
