"""Clients on the loops of asyncio, that of Windows too, are led to the server."""

from __future__ import annotations

import asyncio
import asyncio.proactor_events
import socket
from types import SimpleNamespace
from typing import Any

import aiohttp.resolver
import pytest
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential
from cryptography import x509

from pytest_imds import ImdsServer, Vm
from pytest_imds.errors import ImdsGuardError
from tests.clients.redirected import NO_OTHER, RESOURCE, SCOPE, TOKEN_PATH, VARIABLE, Asked, asked, claims
from tests.private.addresses import HOST, IMDS, METADATA, NAME, asked_hosts
from tests.private.asking import (
    GetLater,
    issuer_at_microsoft,
    with_aiohttp,
    with_anyio,
    with_create_connection,
    with_httpx,
    with_open_connection,
    with_sock_connect,
)

TARGET = f"{TOKEN_PATH}?api-version=2018-02-01&resource={RESOURCE}"
CLIENTS = {
    "open_connection": with_open_connection,
    "create_connection": with_create_connection,
    "sock_connect": with_sock_connect,
    "aiohttp": with_aiohttp,
    "httpx": with_httpx,
    "anyio": with_anyio,
}
RESOLVING = {name: get for name, get in CLIENTS.items() if name != "sock_connect"}
# aiohttp takes only what is written in full, where it has aiodns.
WRITTEN = {
    f"{name} {host}": (get, host)
    for name, get in RESOLVING.items()
    for host in ("0xa9fea9fe", HOST)
    if host == HOST or name != "aiohttp"
}


@pytest.mark.parametrize("get", CLIENTS.values(), ids=CLIENTS)
def test_a_client_asks_at_the_address_of_imds(get: GetLater, imds_redirect: ImdsServer, imds_vm: Vm) -> None:
    assert asyncio.run(get(NAME, METADATA)).decode() == imds_vm.name
    assert asked_hosts(imds_redirect) == [IMDS]


@pytest.mark.parametrize(("get", "host"), WRITTEN.values(), ids=WRITTEN)
def test_a_client_may_write_the_address_in_another_way(
    get: GetLater, host: str, imds_redirect: ImdsServer, imds_vm: Vm
) -> None:
    assert asyncio.run(get(NAME.replace(IMDS, host), METADATA)).decode() == imds_vm.name


@pytest.mark.imds(aia="microsoft", redirect=True)
@pytest.mark.parametrize("get", RESOLVING.values(), ids=RESOLVING)
def test_a_client_has_a_certificate_from_the_host_of_microsoft(
    get: GetLater, imds_server: ImdsServer, names: list[str]
) -> None:
    issuer = issuer_at_microsoft(imds_server)

    assert x509.load_der_x509_certificate(asyncio.run(get(issuer.url, {}))) == issuer.certificate
    assert names == []


async def _token(credential: Any) -> str:
    async with credential:
        return str((await credential.get_token(SCOPE)).token)


@pytest.mark.parametrize(
    ("credential", "expected"),
    [
        (ManagedIdentityCredential, [Asked(TARGET, "true", 200)]),
        (lambda: DefaultAzureCredential(**NO_OTHER), [Asked(TARGET, None, 400), Asked(TARGET, "true", 200)]),
    ],
    ids=["ManagedIdentityCredential", "DefaultAzureCredential"],
)
def test_azure_identity_gets_its_token_at_the_address_of_imds(
    credential: Any,
    expected: list[Asked],
    imds_redirect: ImdsServer,
    imds_vm: Vm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(VARIABLE)

    token = asyncio.run(_token(credential()))

    assert set(asked_hosts(imds_redirect)) == {IMDS}
    assert asked(imds_redirect) == expected
    assert claims(imds_redirect, token)["oid"] == imds_vm.identities[0].object_id


class CAres:
    """Stands in for what aiodns has, which looks names up without the system."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def getaddrinfo(self, host: str, **options: Any) -> Any:
        self.asked.append(host)
        return SimpleNamespace(nodes=[])


@pytest.mark.imds(aia="microsoft", redirect=True)
@pytest.mark.parametrize(
    ("host", "given", "looked_up"),
    [
        ("www.microsoft.com", (80, socket.AF_INET), HOST),
        ("www.microsoft.com", (443, socket.AF_INET), "www.microsoft.com"),
        ("www.microsoft.com", (), "www.microsoft.com"),
        ("learn.microsoft.com", (80,), "learn.microsoft.com"),
    ],
)
def test_aiohttp_does_not_look_the_host_of_microsoft_up_with_aiodns_either(
    host: str, given: tuple[Any, ...], looked_up: str, imds_server: ImdsServer
) -> None:
    ares = CAres()
    resolver: Any = SimpleNamespace(_resolver=ares)

    with pytest.raises(OSError, match="lookup failed"):  # it finds no address
        asyncio.run(aiohttp.resolver.AsyncResolver.resolve(resolver, host, *given))

    assert ares.asked == [looked_up]


class ConnectEx:
    """Stands in for what Windows has: it is told a socket and where to connect it."""

    def __init__(self) -> None:
        self.addresses: list[Any] = []

    async def connect(self, connecting: socket.socket, address: Any) -> None:
        self.addresses.append(address)


def connected_on_windows(address: Any, family: int = socket.AF_INET) -> Any:
    """Where the loop of Windows connects a socket to."""
    windows = ConnectEx()
    loop: Any = SimpleNamespace(_proactor=windows, _debug=False)
    with socket.socket(family) as connecting:
        asyncio.run(asyncio.proactor_events.BaseProactorEventLoop.sock_connect(loop, connecting, address))
    (reached,) = windows.addresses
    return reached


def test_the_loop_of_windows_connects_to_the_server(imds_redirect: ImdsServer) -> None:
    mapped = (f"::ffff:{IMDS}", 80, 0, 0)

    assert connected_on_windows((IMDS, 80)) == ("127.0.0.1", imds_redirect.port)
    assert connected_on_windows((HOST, 80)) == ("127.0.0.1", imds_redirect.port)
    assert connected_on_windows(mapped, socket.AF_INET6) == ("::ffff:127.0.0.1", imds_redirect.port)


def test_the_loop_of_windows_connects_elsewhere_as_it_is_told(imds_redirect: ImdsServer) -> None:
    assert connected_on_windows(("127.0.0.1", 8080)) == ("127.0.0.1", 8080)
    assert connected_on_windows(("192.0.2.1", 80)) == ("192.0.2.1", 80)


def test_the_loop_of_windows_connects_to_no_other_port_of_the_address(imds_redirect: ImdsServer) -> None:
    with pytest.raises(ImdsGuardError, match="port 80 alone"):
        connected_on_windows((IMDS, 32526))


def test_the_loop_of_windows_is_as_it_was_after_the_test() -> None:
    loop = asyncio.proactor_events.BaseProactorEventLoop

    assert loop.sock_connect.__module__ == "asyncio.proactor_events"
    assert not hasattr(loop.sock_connect, "__wrapped__")
    assert connected_on_windows((IMDS, 80)) == (IMDS, 80)
