"""The HTTP clients that people use, against imds_server."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import NamedTuple

import aiohttp
import httpx
import pytest
import requests

from pytest_imds import ImdsServer, Vm, data

TIMEOUT_S = 5
METADATA = {"Metadata": "true"}
ERRORS = data.read("errors")


class Answer(NamedTuple):
    status: int
    content_type: str
    body: str


Get = Callable[[str, Mapping[str, str]], Answer]


def get_with_requests(url: str, headers: Mapping[str, str]) -> Answer:
    # IMDS has to be asked without a proxy, whatever the environment says; so do all the others here.
    response = requests.get(url, headers=dict(headers), timeout=TIMEOUT_S, proxies={"http": ""})
    return Answer(response.status_code, response.headers["Content-Type"], response.content.decode())


def get_with_a_session(url: str, headers: Mapping[str, str]) -> Answer:
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(headers)
        response = session.get(url, timeout=TIMEOUT_S)
    return Answer(response.status_code, response.headers["Content-Type"], response.content.decode())


def get_with_httpx(url: str, headers: Mapping[str, str]) -> Answer:
    response = httpx.get(url, headers=dict(headers), timeout=TIMEOUT_S, trust_env=False)
    return Answer(response.status_code, response.headers["Content-Type"], response.content.decode())


def get_with_async_httpx(url: str, headers: Mapping[str, str]) -> Answer:
    async def get() -> httpx.Response:
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            return await client.get(url, headers=dict(headers))

    response = asyncio.run(get())
    return Answer(response.status_code, response.headers["Content-Type"], response.content.decode())


def get_with_aiohttp(url: str, headers: Mapping[str, str]) -> Answer:
    async def get() -> Answer:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, headers=headers) as response:
            return Answer(response.status, response.headers["Content-Type"], (await response.read()).decode())

    return asyncio.run(get())


def get_with_urllib(url: str, headers: Mapping[str, str]) -> Answer:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=dict(headers)), timeout=TIMEOUT_S) as response:
            return Answer(response.status, response.headers["Content-Type"], response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers["Content-Type"], error.read().decode())


def get_with_curl(url: str, headers: Mapping[str, str]) -> Answer:
    options = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    told = "\n%{http_code}\n%{content_type}"
    command = ["curl", "-sS", "--noproxy", "*", "--max-time", str(TIMEOUT_S), "-w", told, *options, url]
    output = subprocess.run(command, check=True, capture_output=True, timeout=2 * TIMEOUT_S).stdout.decode()
    body, status, content_type = output.rsplit("\n", 2)
    return Answer(int(status), content_type, body)


@pytest.fixture(
    params=[
        pytest.param(get_with_requests, id="requests"),
        pytest.param(get_with_a_session, id="requests.Session"),
        pytest.param(get_with_httpx, id="httpx"),
        pytest.param(get_with_async_httpx, id="httpx.AsyncClient"),
        pytest.param(get_with_aiohttp, id="aiohttp"),
        pytest.param(get_with_urllib, id="urllib.request"),
        pytest.param(
            get_with_curl,
            id="curl",
            marks=pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
        ),
    ]
)
def get(request: pytest.FixtureRequest) -> Get:
    client: Get = request.param
    return client


@pytest.mark.imds_vm(tags={"stage": "prod"}, nics=2)
def test_a_client_reads_the_document(get: Get, imds_server: ImdsServer, imds_vm: Vm) -> None:
    answer = get(f"{imds_server.url}/metadata/instance?api-version=2021-02-01", METADATA)

    assert answer[:2] == (200, "application/json; charset=utf-8")
    document = json.loads(answer.body)
    assert document["compute"]["vmId"] == imds_vm.vm_id
    assert document["compute"]["tagsList"] == [{"name": "stage", "value": "prod"}]
    assert [interface["macAddress"] for interface in document["network"]["interface"]] == [
        interface.mac_address for interface in imds_vm.interfaces
    ]


def test_a_client_reads_a_leaf_as_text(get: Get, imds_server: ImdsServer, imds_vm: Vm) -> None:
    url = f"{imds_server.url}/metadata/instance/compute/name?api-version=2021-02-01&format=text"

    assert get(url, METADATA) == (200, "text/plain; charset=utf-8", imds_vm.name)


def test_a_client_reads_an_empty_leaf_as_text(get: Get, imds_server: ImdsServer) -> None:
    url = f"{imds_server.url}/metadata/instance/compute/userData?api-version=2021-02-01&format=text"

    assert get(url, METADATA) == (200, "text/plain; charset=utf-8", "")


def test_a_client_reads_characters_outside_ascii(get: Get, imds_server: ImdsServer, imds_vm: Vm) -> None:
    imds_vm.tags = {"owner": "Zo\u00eb \u2603 \U0001f680"}
    url = f"{imds_server.url}/metadata/instance/compute"

    assert json.loads(get(f"{url}?api-version=2021-02-01", METADATA).body)["tagsList"] == [
        {"name": "owner", "value": "Zo\u00eb \u2603 \U0001f680"}
    ]
    text = get(f"{url}/tagsList/0/value?api-version=2021-02-01&format=text", METADATA)
    assert text.body == "Zo\u00eb \u2603 \U0001f680"


def test_a_client_sees_what_the_test_has_just_assigned(get: Get, imds_server: ImdsServer, imds_vm: Vm) -> None:
    url = f"{imds_server.url}/metadata/instance/compute/location?api-version=2021-02-01&format=text"
    before = get(url, METADATA).body
    imds_vm.location = "westeurope-next"

    assert (before, get(url, METADATA).body) == (before, "westeurope-next")
    assert before != "westeurope-next"


@pytest.mark.parametrize(
    ("target", "headers", "error"),
    [
        ("/metadata/instance?api-version=2021-02-01", {}, "header-missing"),
        ("/metadata/instance/compute/name?api-version=2021-02-01", METADATA, "leaf-without-text"),
        ("/metadata/instance/compute/nothing?api-version=2021-02-01", METADATA, "element-missing"),
        ("/elsewhere", METADATA, "outside-metadata"),
    ],
)
def test_a_client_reads_a_refusal(
    get: Get, imds_server: ImdsServer, target: str, headers: dict[str, str], error: str
) -> None:
    row = ERRORS[error]

    assert get(f"{imds_server.url}{target}", headers) == (row["status"], row["content_type"], row["body"])
