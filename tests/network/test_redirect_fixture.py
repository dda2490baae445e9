"""The fixture imds_redirect, and the marker that asks for it, from test to test."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from pytest_imds import ImdsServer
from tests.plugin.conftest import Run

ASKS = """
import _socket
import os
import socket
from urllib.request import Request, urlopen

import pytest

URL = "http://169.254.169.254/metadata/instance/compute/name?api-version=2021-02-01&format=text"

def ask():
    with urlopen(Request(URL, headers={"Metadata": "true"}), timeout=5) as reply:
        return reply.read().decode()

"""


def test_the_fixture_is_the_server(imds_redirect: ImdsServer, imds_server: ImdsServer) -> None:
    assert imds_redirect is imds_server


def test_each_test_reaches_its_own_vm(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        ASKS
        + """
names = set()

@pytest.mark.parametrize("number", range(3))
def test_name(imds_redirect, imds_vm, number):
    assert ask() == imds_vm.name
    names.add(imds_vm.name)

def test_names():
    assert len(names) == 3
"""
    )
    run().assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("marks", "redirected"),
    [
        ("@pytest.mark.imds(redirect=True)", True),
        ("@pytest.mark.imds(redirect=False)", False),
        ('@pytest.mark.imds(redirect=None, newest="2021-02-01")', False),
        ('@pytest.mark.imds(newest="2021-02-01")', False),
        ('@pytest.mark.imds(newest="2021-02-01")\n@pytest.mark.imds(redirect=True)', True),
        ("@pytest.mark.imds(redirect=True)\n@pytest.mark.imds(redirect=False)", False),
    ],
)
def test_the_marker_asks_for_it_and_the_nearest_wins(
    pytester: pytest.Pytester, run: Run, marks: str, redirected: bool
) -> None:
    pytester.makepyfile(
        f"import _socket, socket, pytest\n{marks}\ndef test_it(request):\n"
        f"    assert (socket.socket.connect is _socket.socket.connect) is not {redirected}\n"
        f"    assert ('imds_redirect' in request.fixturenames) is {redirected}\n"
    )
    run().assert_outcomes(passed=1)


def test_the_marker_of_a_module_or_class_holds_for_fixtures_that_are_clients_already(
    pytester: pytest.Pytester, run: Run
) -> None:
    pytester.makepyfile(
        ASKS
        + """
pytestmark = pytest.mark.imds(redirect=True)

@pytest.fixture(autouse=True)
def first():
    return ask()

@pytest.fixture
def agent(first):
    yield first
    assert ask() == first  # when it ends, too

class TestAgent:
    def test_name(self, agent, imds_vm):
        assert agent == imds_vm.name

@pytest.mark.imds(redirect=False)
@pytest.mark.usefixtures("imds_server")
class TestOther:
    @pytest.fixture(autouse=True)
    def first(self):
        pass

    def test_no_redirect(self):
        assert socket.socket.connect is _socket.socket.connect
"""
    )
    run().assert_outcomes(passed=2)


def test_a_value_of_the_marker_that_is_none_is_refused_at_its_line(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(test_it="import pytest\n@pytest.mark.imds(redirect='yes')\ndef test_it(): pass")
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_it.py:2: redirect cannot be 'yes'.", "*right: True or False"])


ENVIRONMENT = {
    "IDENTITY_ENDPOINT": "http://elsewhere",
    "MSI_ENDPOINT": "http://elsewhere",
    "AZURE_FEDERATED_TOKEN_FILE": "/token",
    "NO_PROXY": "internal",
    "AZURE_CLIENT_ID": "mine",
}


def test_the_environment_is_that_of_a_client_of_the_server(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    pytester.makepyfile(
        ASKS
        + """
def test_environment(monkeypatch, imds_redirect):
    assert os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] == imds_redirect.url
    assert not {"IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZURE_FEDERATED_TOKEN_FILE"} & set(os.environ)
    assert os.environ["NO_PROXY"].startswith("internal,169.254.169.254,")
    assert os.environ["AZURE_CLIENT_ID"] == "mine"
    monkeypatch.setenv("NO_PROXY", "other")
    monkeypatch.delenv("AZURE_POD_IDENTITY_AUTHORITY_HOST")
    monkeypatch.setenv("IDENTITY_ENDPOINT", "again")

def test_the_next_has_its_own():
    assert os.environ["NO_PROXY"] == "internal"
    assert os.environ["IDENTITY_ENDPOINT"] == "http://elsewhere"
    assert "AZURE_POD_IDENTITY_AUTHORITY_HOST" not in os.environ
"""
    )
    run().assert_outcomes(passed=2)
    changed = {name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name)}
    assert changed <= {"PYTEST_CURRENT_TEST"}


@pytest.mark.parametrize("ends", ["raise ZeroDivisionError", "pytest.fail('no')", "pytest.skip('no')"])
def test_however_a_test_ends_nothing_is_left(pytester: pytest.Pytester, run: Run, ends: str) -> None:
    real: Any = socket.socket
    before = [real.connect, real.connect_ex, socket.getaddrinfo]
    pytester.makepyfile(
        ASKS
        + f"""
@pytest.fixture
def client(imds_redirect):
    assert ask()
    {ends}

@pytest.mark.imds(aia="microsoft")
def test_it(imds_redirect):
    assert ask()
    {ends}

def test_setup(client):
    pass
"""
    )
    run()
    assert [real.connect, real.connect_ex, socket.getaddrinfo] == before


def test_a_patch_above_the_redirect_that_is_taken_away_later_leaves_nothing(
    pytester: pytest.Pytester, run: Run
) -> None:
    pytester.makepyfile(
        ASKS
        + """
def test_it(monkeypatch, imds_redirect, imds_vm):
    beneath = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda client, address: beneath(client, address))
    assert ask() == imds_vm.name

def test_next():
    assert vars(socket.socket).get("connect", _socket.socket.connect) is _socket.socket.connect
"""
    )
    run().assert_outcomes(passed=2)


def test_what_goes_wrong_in_the_server_still_fails_the_test(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        ASKS
        + """
@pytest.mark.imds_fault("gone")
def test_it(imds_redirect):
    pass
"""
    )
    result = run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the fault gone(window=70) never fired*"])


def test_time_may_be_virtual_too(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        ASKS
        + """
import time
from urllib.error import HTTPError

@pytest.mark.imds_fault("gone", window=70)
def test_it(imds_redirect, imds_clock, imds_vm):
    began = time.monotonic()
    while True:
        try:
            assert ask() == imds_vm.name
            break
        except HTTPError as error:
            assert error.code == 410
            error.close()
            time.sleep(10)
    assert 70 <= time.monotonic() - began < 80
"""
    )
    run().assert_outcomes(passed=1)


def test_a_unittest_test_case_is_redirected_by_its_marker(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        ASKS
        + """
import unittest

@pytest.mark.imds(redirect=True)
class TestAgent(unittest.TestCase):
    def test_name(self):
        self.assertTrue(ask())
"""
    )
    run().assert_outcomes(passed=1)
