"""Clients on gevent are led to the server, whether it patches everything before this package is loaded or after."""

from __future__ import annotations

# The first, unless the run has begun with it.
import tests.private.patching  # noqa: F401  # isort: skip

import socket
import subprocess
import sys
from collections.abc import Callable
from urllib.request import Request, urlopen

import gevent
import gevent.socket
import pytest
import requests
from gevent import monkey

from pytest_imds import ImdsServer, Vm
from pytest_imds.errors import ImdsGuardError
from tests.conftest import LeakError
from tests.private.addresses import IMDS, METADATA, NAME, TIMEOUT_S, asked_hosts


def with_urllib() -> str:
    with urlopen(Request(NAME, headers=METADATA), timeout=TIMEOUT_S) as response:
        return str(response.read().decode())


def with_requests() -> str:
    return requests.get(NAME, headers=METADATA, timeout=TIMEOUT_S).text


def test_gevent_has_patched_everything() -> None:
    assert monkey.is_module_patched("socket")
    assert issubclass(socket.socket, gevent.socket.socket)


@pytest.mark.parametrize("ask", [with_urllib, with_requests])
def test_greenlets_ask_at_the_address_of_imds(ask: Callable[[], str], imds_redirect: ImdsServer, imds_vm: Vm) -> None:
    # Several tests in a row: each has to see to it anew.
    greenlets = [gevent.spawn(ask) for _ in range(3)]
    gevent.joinall(greenlets, timeout=TIMEOUT_S, raise_error=True)

    assert [greenlet.value for greenlet in greenlets] == [imds_vm.name] * 3
    assert asked_hosts(imds_redirect) == [IMDS] * 3


def test_a_connection_of_gevent_s_own_leads_to_the_server(imds_redirect: ImdsServer) -> None:
    with gevent.Timeout(TIMEOUT_S), gevent.socket.create_connection((IMDS, 80)) as connected:
        assert connected.getpeername() == ("127.0.0.1", imds_redirect.port)


def test_a_program_in_a_network_of_its_own_asks_the_server(imds_server: ImdsServer, imds_vm: Vm) -> None:
    ask = f"from urllib.request import *; print(urlopen(Request({NAME!r}, headers={METADATA!r})).read().decode())"

    # Who waits for it must let the server answer meanwhile.
    done = imds_server.run([sys.executable, "-c", ask], stdout=subprocess.PIPE, text=True, timeout=2 * TIMEOUT_S)

    assert done.stdout == f"{imds_vm.name}\n"


def test_nothing_leads_to_the_server_after_the_test() -> None:
    with gevent.socket.socket() as connecting:
        connecting.settimeout(TIMEOUT_S)
        with pytest.raises((ImdsGuardError, LeakError)):  # the former where the run has a guard
            connecting.connect((IMDS, 80))
