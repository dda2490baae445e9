"""Clients that go through the proxy that the environment names are found out; all else works as it does without it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from urllib.request import ProxyHandler, Request, build_opener

import httpx
import pytest
import requests
from pytest_httpserver import HTTPServer

from pytest_imds import Audit, ImdsServer, ServerFactory, Vm
from tests.clients.test_proxies import CLIENTS, METADATA, TIMEOUT_S, with_aiohttp, with_requests

pytestmark = pytest.mark.imds(audit=False)

NAME = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"
URL = f"http://169.254.169.254{NAME}"
Get = Callable[[str], str]


def with_urllib_alone(url: str) -> str:
    with build_opener(ProxyHandler({})).open(Request(url, headers=METADATA), timeout=TIMEOUT_S) as reply:
        return str(reply.read().decode())


def with_requests_alone(url: str) -> str:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, headers=METADATA, timeout=TIMEOUT_S).text


def with_httpx_alone(url: str) -> str:
    return httpx.get(url, headers=METADATA, timeout=TIMEOUT_S, trust_env=False).text


def with_aiohttp_alone(url: str) -> str:
    return with_aiohttp(url, trust_env=False)


ALONE: dict[str, Get] = {
    "urllib": with_urllib_alone,
    "requests": with_requests_alone,
    "httpx": with_httpx_alone,
    "aiohttp": with_aiohttp_alone,
}


@pytest.fixture(autouse=True)
def _no_opener_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Urllib keeps the proxies that it has met first, for whoever asks next."""
    monkeypatch.setattr("urllib.request._opener", None)


def proxied(audit: Audit) -> list[int]:
    return [finding.requests[0].number for finding in audit.findings if finding.rule == "bypass-proxies"]


@pytest.mark.parametrize(
    ("get", "found"),
    [
        *(pytest.param(get, [1, 2], id=f"{name} takes it") for name, get in CLIENTS.items()),
        *(pytest.param(get, [], id=f"{name} leaves it alone") for name, get in ALONE.items()),
    ],
)
def test_who_takes_the_proxy_gets_an_answer_and_is_found(
    get: Get, found: list[int], imds_audit: Audit, imds_redirect: ImdsServer, imds_vm: Vm
) -> None:
    assert get(URL) == imds_vm.name
    assert get(f"{imds_redirect.url}{NAME}") == imds_vm.name
    assert proxied(imds_audit) == found


def test_the_proxy_needs_no_redirect(imds_audit: Audit, imds_vm: Vm) -> None:
    """It is what a client connects to."""
    assert with_requests(URL) == imds_vm.name
    assert proxied(imds_audit) == [1]


def test_the_order_of_the_redirect_and_the_audit_does_not_matter(
    imds_redirect: ImdsServer, imds_audit: Audit, imds_vm: Vm
) -> None:
    assert os.environ["http_proxy"] == imds_redirect.url
    assert with_requests(URL) == with_requests_alone(URL) == imds_vm.name
    assert proxied(imds_audit) == [1]


def test_the_environment_of_other_programs_has_the_proxy(imds_audit: Audit, imds_server: ImdsServer) -> None:
    environ = imds_server.env({"NO_PROXY": "*"})
    assert (environ["HTTP_PROXY"], environ["NO_PROXY"]) == (imds_server.url, "")


@pytest.mark.parametrize("get", CLIENTS.values(), ids=CLIENTS)
def test_other_servers_are_reached_as_ever(
    get: Get, imds_audit: Audit, imds_server: ImdsServer, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/metadata/instance", headers=METADATA).respond_with_data("another")

    assert get(httpserver.url_for("/metadata/instance")) == "another"
    assert imds_server.requests == ()


def test_each_server_of_a_fleet_is_asked_and_has_its_record(
    imds_audit: Audit, make_imds_server: ServerFactory, imds_server: ImdsServer
) -> None:
    fleet = make_imds_server("scale-set", count=2)

    assert [with_requests(f"{server.url}{NAME}") for server in fleet] == [server.vm.name for server in fleet]
    found = [finding for finding in imds_audit.findings if finding.rule == "bypass-proxies"]
    assert [finding.server for finding in found] == [server.url for server in fleet]
    assert imds_server.requests == ()


@pytest.mark.imds_vm("linux")
def test_documents_are_verified_with_what_the_server_delivers(imds_audit: Audit, imds_server: ImdsServer) -> None:
    """What is not below /metadata is nothing that the rules are about."""
    assert requests.get(imds_server.identity.jwks_url, timeout=TIMEOUT_S).status_code == 200
    assert [request.proxied for request in imds_server.requests] == [True]
    assert imds_audit.findings == ()


CURL = ("curl", "-sS", "--max-time", "5", "-H", "Metadata: true")


@pytest.mark.imds_namespace
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(("options", "found"), [((), [1]), (("--noproxy", "*"), [])])
def test_a_program_in_a_network_of_its_own_meets_the_proxy(
    options: tuple[str, ...], found: list[int], imds_audit: Audit, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    done = imds_server.run([*CURL, *options, URL], capture_output=True, text=True)

    assert (done.stdout, done.stderr) == (imds_vm.name, "")
    assert proxied(imds_audit) == found


@pytest.mark.imds_namespace
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_program_in_a_network_of_its_own_reaches_no_other(
    imds_audit: Audit, imds_server: ImdsServer, httpserver: HTTPServer
) -> None:
    """The proxy is not the way out, to the machine's loopback interface or to anywhere."""
    url = httpserver.url_for("/").replace("localhost", "127.0.0.1")
    for other in (url, "http://192.0.2.1/"):
        done = imds_server.run([*CURL, "-w", "%{http_code}", "-o", "/dev/null", other], capture_output=True, text=True)
        assert done.stdout in ("000", "400")
    assert httpserver.log == []


@pytest.mark.imds(audit=["metadata-header"])
def test_where_nobody_looks_at_proxies_there_is_none(imds_audit: Audit, imds_server: ImdsServer) -> None:
    assert imds_server.trap is None
    assert imds_server.url not in (os.environ.get("http_proxy"), imds_server.env().get("HTTP_PROXY"))
