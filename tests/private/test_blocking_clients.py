"""Clients that block and connect through Python's sockets are led to the server, however they write the address."""

from __future__ import annotations

import multiprocessing
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import httpx
import pytest
import requests
import urllib3
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
from cryptography import x509

from pytest_imds import ImdsServer, Vm
from tests.clients.redirected import NO_OTHER, RESOURCE, SCOPE, TOKEN_PATH, VARIABLE, Asked, asked, claims
from tests.private.addresses import HOST, IMDS, METADATA, NAME, TIMEOUT_S, asked_hosts
from tests.private.asking import TRUST, Get, issuer_at_microsoft

TARGET = f"{TOKEN_PATH}?api-version=2018-02-01&resource={RESOURCE}"


def with_http_client(url: str, headers: Mapping[str, str]) -> bytes:
    parts = urlsplit(url)
    with closing(HTTPConnection(str(parts.hostname), 80, timeout=TIMEOUT_S)) as connection:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=dict(headers))
        response = connection.getresponse()
        assert response.status == 200
        return response.read()


def with_urllib(url: str, headers: Mapping[str, str]) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers)), timeout=TIMEOUT_S) as response:
        return bytes(response.read())


def with_urllib3(url: str, headers: Mapping[str, str]) -> bytes:
    with urllib3.PoolManager() as pool:
        response = pool.request("GET", url, headers=dict(headers), timeout=TIMEOUT_S, retries=False)
        assert response.status == 200
        return response.data


def with_requests(url: str, headers: Mapping[str, str]) -> bytes:
    response = requests.get(url, headers=dict(headers), timeout=TIMEOUT_S)
    response.raise_for_status()
    return response.content


def with_httpx(url: str, headers: Mapping[str, str]) -> bytes:
    return httpx.get(url, headers=dict(headers), timeout=TIMEOUT_S, verify=TRUST).raise_for_status().content


UNRESOLVED = r"name resolution|not known"
CLIENTS = {
    "http.client": with_http_client,
    "urllib": with_urllib,
    "urllib3": with_urllib3,
    "requests": with_requests,
    "httpx": with_httpx,
}
ALL = pytest.mark.parametrize("get", CLIENTS.values(), ids=CLIENTS)


@ALL
def test_a_client_asks_at_the_address_of_imds(get: Get, imds_redirect: ImdsServer, imds_vm: Vm) -> None:
    assert get(NAME, METADATA).decode() == imds_vm.name
    assert asked_hosts(imds_redirect) == [IMDS]


@ALL
@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", f"[::ffff:{IMDS}]", HOST])
def test_a_client_may_write_the_address_in_another_way(
    get: Get, host: str, imds_redirect: ImdsServer, imds_vm: Vm
) -> None:
    assert get(NAME.replace(IMDS, host), METADATA).decode() == imds_vm.name


@ALL
@pytest.mark.imds(aia="microsoft", redirect=True)
def test_a_client_has_a_certificate_from_the_host_of_microsoft(
    get: Get, imds_server: ImdsServer, names: list[str]
) -> None:
    issuer = issuer_at_microsoft(imds_server)

    assert x509.load_der_x509_certificate(get(issuer.url, {})) == issuer.certificate
    assert asked_hosts(imds_server) == ["www.microsoft.com"]
    assert names == []


@pytest.mark.imds(aia="microsoft", redirect=True)
@pytest.mark.parametrize(
    "url", ["http://www.microsoft.com:8080/", "https://www.microsoft.com/", "http://learn.microsoft.com/"]
)
def test_another_port_and_another_name_are_left_alone(url: str, imds_server: ImdsServer, names: list[str]) -> None:
    with pytest.raises(urllib.error.URLError, match=UNRESOLVED):
        with_urllib(url, {})

    assert names == [urlsplit(url).hostname]
    assert asked_hosts(imds_server) == []


@pytest.mark.parametrize("aia", ["loopback", "dual"])
def test_the_host_of_microsoft_is_left_alone_where_certificates_are_elsewhere(aia: str, names: list[str]) -> None:
    with (
        ImdsServer(aia=aia) as server,
        server.redirected(),
        pytest.raises(urllib.error.URLError, match=UNRESOLVED),
    ):
        with_urllib("http://www.microsoft.com/pkiops/certs/any.crt", {})

    assert names == ["www.microsoft.com"]


@pytest.mark.parametrize(
    ("credential", "expected"),
    [
        (ManagedIdentityCredential, [Asked(TARGET, "true", 200)]),
        # It looks whether anybody is there first, without the header.
        (lambda: DefaultAzureCredential(**NO_OTHER), [Asked(TARGET, None, 400), Asked(TARGET, "true", 200)]),
    ],
    ids=["ManagedIdentityCredential", "DefaultAzureCredential"],
)
def test_azure_identity_gets_its_token_at_the_address_of_imds(
    credential: type[ManagedIdentityCredential],
    expected: list[Asked],
    imds_redirect: ImdsServer,
    imds_vm: Vm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(VARIABLE)

    with credential() as asking:
        token = asking.get_token(SCOPE).token

    assert set(asked_hosts(imds_redirect)) == {IMDS}
    assert asked(imds_redirect) == expected
    assert claims(imds_redirect, token)["oid"] == imds_vm.identities[0].object_id


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the server has threads; they stay behind
def test_a_child_that_was_forked_asks_the_server_too(imds_redirect: ImdsServer, imds_vm: Vm) -> None:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=lambda: there.send(with_urllib(NAME, METADATA)))
    child.start()
    try:
        assert here.poll(TIMEOUT_S)
        assert here.recv().decode() == imds_vm.name
        child.join(TIMEOUT_S)
        assert child.exitcode == 0
    finally:
        child.kill()
        child.join(TIMEOUT_S)
