"""Clients on uvloop, whose connections are made in C, are led to the server."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import uvloop
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential
from cryptography import x509

from pytest_imds import ImdsServer, Vm
from pytest_imds.errors import ImdsGuardError
from tests.clients.redirected import NO_OTHER, SCOPE, VARIABLE, claims
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
    assert uvloop.run(get(NAME, METADATA)).decode() == imds_vm.name
    assert asked_hosts(imds_redirect) == [IMDS]


@pytest.mark.parametrize(("get", "host"), WRITTEN.values(), ids=WRITTEN)
def test_a_client_may_write_the_address_in_another_way(
    get: GetLater, host: str, imds_redirect: ImdsServer, imds_vm: Vm
) -> None:
    assert uvloop.run(get(NAME.replace(IMDS, host), METADATA)).decode() == imds_vm.name


@pytest.mark.imds(aia="microsoft", redirect=True)
@pytest.mark.parametrize("get", RESOLVING.values(), ids=RESOLVING)
def test_a_client_has_a_certificate_from_the_host_of_microsoft(get: GetLater, imds_server: ImdsServer) -> None:
    issuer = issuer_at_microsoft(imds_server)

    assert x509.load_der_x509_certificate(uvloop.run(get(issuer.url, {}))) == issuer.certificate
    assert asked_hosts(imds_server) == ["www.microsoft.com"]


async def _token(credential: Any) -> str:
    async with credential:
        return str((await credential.get_token(SCOPE)).token)


@pytest.mark.parametrize(
    "credential",
    [ManagedIdentityCredential, lambda: DefaultAzureCredential(**NO_OTHER)],
    ids=["ManagedIdentityCredential", "DefaultAzureCredential"],
)
def test_azure_identity_gets_its_token_at_the_address_of_imds(
    credential: Any, imds_redirect: ImdsServer, imds_vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)

    token = uvloop.run(_token(credential()))

    assert set(asked_hosts(imds_redirect)) == {IMDS}
    assert claims(imds_redirect, token)["oid"] == imds_vm.identities[0].object_id


@pytest.mark.parametrize("host", [f"::ffff:{IMDS}", "2852039166"])
def test_an_address_that_not_every_client_takes_leads_to_the_server(host: str, imds_redirect: ImdsServer) -> None:
    async def peer() -> Any:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, 80), 5)
        reached = writer.get_extra_info("peername")
        writer.close()
        return reached

    assert uvloop.run(peer()) == ("127.0.0.1", imds_redirect.port)


@pytest.mark.parametrize("host", [IMDS, HOST])
def test_another_port_of_the_address_is_refused(host: str, imds_redirect: ImdsServer) -> None:
    with pytest.raises(ImdsGuardError, match="port 80 alone"):
        uvloop.run(asyncio.wait_for(asyncio.open_connection(host, 32526), 5))


@pytest.mark.imds(aia="microsoft", redirect=True)
@pytest.mark.parametrize(("host", "port"), [("www.microsoft.com", 8080), ("learn.microsoft.com", 80)])
def test_another_port_and_another_name_are_left_alone(host: str, port: int, imds_server: ImdsServer) -> None:
    with pytest.raises(socket.gaierror):
        uvloop.run(asyncio.wait_for(asyncio.open_connection(host, port), 5))

    assert asked_hosts(imds_server) == []


def test_nothing_leads_to_the_server_after_the_test() -> None:
    with pytest.raises(OSError, match="unreachable"):  # by the network alone: there is no other way in this one
        uvloop.run(asyncio.wait_for(asyncio.open_connection(IMDS, 80), 5))
