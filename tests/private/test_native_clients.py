"""Clients that connect in C or Rust, and other processes, are not led to the server, as the documents say."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_imds import ImdsServer
from tests.private.addresses import METADATA, NAME, TIMEOUT_S, asked_hosts


def test_pycurl_does_not_reach_the_server(imds_redirect: ImdsServer) -> None:
    import pycurl

    curl = pycurl.Curl()
    for option, value in (
        (pycurl.URL, NAME),
        (pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in METADATA.items()]),
        (pycurl.TIMEOUT, TIMEOUT_S),
    ):
        curl.setopt(option, value)

    with pytest.raises(pycurl.error) as refused:
        curl.perform()
    curl.close()

    assert refused.value.args[0] == pycurl.E_COULDNT_CONNECT
    assert asked_hosts(imds_redirect) == []


def test_obstore_does_not_reach_the_server(imds_redirect: ImdsServer) -> None:
    import obstore
    from obstore.store import AzureStore

    # Without a key it asks IMDS for a token first.
    store = AzureStore("container", account_name="account", retry_config={"max_retries": 0})

    with pytest.raises(obstore.exceptions.GenericError, match=r"169\.254\.169\.254/metadata/identity/oauth2/token"):
        obstore.get(store, "any")

    assert asked_hosts(imds_redirect) == []


def test_pyreqwest_does_not_reach_the_server(imds_redirect: ImdsServer) -> None:
    pytest.importorskip("pyreqwest", reason="it takes Python 3.11")
    from pyreqwest.exceptions import ConnectError
    from pyreqwest.simple.sync_request import pyreqwest_get

    with pytest.raises(ConnectError):
        pyreqwest_get(NAME).headers(METADATA).send()

    assert asked_hosts(imds_redirect) == []


def test_a_process_that_is_started_anew_does_not_reach_the_server(imds_redirect: ImdsServer) -> None:
    ask = f"from urllib.request import urlopen; urlopen({NAME!r}, timeout={TIMEOUT_S})"

    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=2 * TIMEOUT_S)

    assert "Network is unreachable" in done.stderr
    assert asked_hosts(imds_redirect) == []
