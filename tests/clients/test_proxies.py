"""A proxy that the environment names is not asked for IMDS, which refuses what has been through one."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Callable, Iterator
from urllib.request import Request, urlopen

import aiohttp
import httpx
import pytest
import requests

from pytest_imds import ImdsServer, Vm

TIMEOUT_S = 5
IMDS, HOST = "169.254.169.254", "168.63.129.16"
# It is for examples, and nobody has it.
ELSEWHERE = "192.0.2.1"
METADATA = {"Metadata": "true"}
PROGRAMS = {
    "curl": ("curl", "-sS", "--max-time", "5", "-H", "Metadata: true"),
    "wget": ("wget", "-qO-", "--tries=1", "--timeout=5", "--header=Metadata: true"),
}


def name_at(host: str) -> str:
    return f"http://{host}/metadata/instance/compute/name?api-version=2021-02-01&format=text"


def with_urllib(url: str) -> str:
    with urlopen(Request(url, headers=METADATA), timeout=TIMEOUT_S) as reply:
        return str(reply.read().decode())


def with_requests(url: str) -> str:
    return requests.get(url, headers=METADATA, timeout=TIMEOUT_S).text


def with_httpx(url: str) -> str:
    return httpx.get(url, headers=METADATA, timeout=TIMEOUT_S).text


def with_aiohttp(url: str, trust_env: bool = True) -> str:
    async def get() -> str:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=trust_env) as session,
            session.get(url, headers=METADATA) as response,
        ):
            return await response.text()

    return asyncio.run(get())


CLIENTS = {"urllib": with_urllib, "requests": with_requests, "httpx": with_httpx, "aiohttp": with_aiohttp}
ALL = pytest.mark.parametrize("get", CLIENTS.values(), ids=CLIENTS)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The environment names a proxy, and nobody is there: its port."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # it does not listen
        port = nobody.getsockname()[1]
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        # It keeps the proxies that it has met first, for whoever asks next.
        monkeypatch.setattr("urllib.request._opener", None)
        yield port


@ALL
@pytest.mark.parametrize("host", [IMDS, HOST])
def test_a_client_asks_the_server_without_the_proxy(
    get: Callable[[str], str], host: str, proxy: int, imds_redirect: ImdsServer, imds_vm: Vm
) -> None:
    assert get(name_at(host)) == imds_vm.name


@ALL
def test_a_client_asks_the_url_of_the_server_without_the_proxy(
    get: Callable[[str], str], proxy: int, imds_redirect: ImdsServer, imds_vm: Vm
) -> None:
    assert get(name_at(f"127.0.0.1:{imds_redirect.port}")) == imds_vm.name


@ALL
def test_a_client_asks_the_proxy_for_everybody_else(
    get: Callable[[str], str], proxy: int, imds_redirect: ImdsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []
    connect = socket.socket.connect

    def watched(self: socket.socket, address: tuple[str, int]) -> None:
        asked.append(address)
        assert address[0] == "127.0.0.1"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)

    with pytest.raises((OSError, httpx.ConnectError)):
        get(name_at(ELSEWHERE))
    assert {address[:2] for address in asked} == {("127.0.0.1", proxy)}


@pytest.mark.imds_namespace
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_asks_the_server_without_the_proxy(
    program: str, proxy: int, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")

    done = imds_server.run([*PROGRAMS[program], name_at(IMDS)], capture_output=True, text=True)

    assert (done.stdout, done.stderr) == (imds_vm.name, "")
