"""Clients on trio and on tornado are led to the server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import anyio
import httpx
import pytest
import trio
from cryptography import x509
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from pytest_imds import ImdsServer, Vm
from tests.private.addresses import HOST, IMDS, METADATA, NAME, TIMEOUT_S, asked_hosts
from tests.private.asking import Get, body, issuer_at_microsoft, request_for, with_anyio, with_httpx


def with_trio(url: str, headers: Mapping[str, str]) -> bytes:
    host, request = request_for(url, headers)

    async def get() -> bytes:
        reply = b""
        with trio.fail_after(TIMEOUT_S):
            async with await trio.open_tcp_stream(host, 80) as stream:
                await stream.send_all(request)
                async for part in stream:
                    reply += part
        return body(reply)

    return trio.run(get)


def with_trio_sockets(url: str, headers: Mapping[str, str]) -> bytes:
    host, request = request_for(url, headers)

    async def get() -> bytes:
        reply = b""
        with trio.fail_after(TIMEOUT_S), trio.socket.socket() as connecting:
            await connecting.connect((host, 80))
            await connecting.send(request)
            while part := await connecting.recv(65536):
                reply += part
        return body(reply)

    return trio.run(get)


def with_httpx_on_trio(url: str, headers: Mapping[str, str]) -> bytes:
    return trio.run(with_httpx, url, headers)


def with_anyio_on_trio(url: str, headers: Mapping[str, str]) -> bytes:
    return anyio.run(with_anyio, url, headers, backend="trio")


def with_tornado(url: str, headers: Mapping[str, str]) -> bytes:
    async def get() -> bytes:
        client = AsyncHTTPClient(force_instance=True)
        try:
            return (await client.fetch(HTTPRequest(url, headers=dict(headers), request_timeout=TIMEOUT_S))).body
        finally:
            client.close()

    return asyncio.run(get())


CLIENTS = {
    "trio": with_trio,
    "trio.socket": with_trio_sockets,
    "httpx on trio": with_httpx_on_trio,
    "anyio on trio": with_anyio_on_trio,
    "tornado": with_tornado,
}
ALL = pytest.mark.parametrize("get", CLIENTS.values(), ids=CLIENTS)


@ALL
def test_a_client_asks_at_the_address_of_imds(get: Get, imds_redirect: ImdsServer, imds_vm: Vm) -> None:
    assert get(NAME, METADATA).decode() == imds_vm.name
    assert asked_hosts(imds_redirect) == [IMDS]


@ALL
@pytest.mark.parametrize("host", ["2852039166", HOST])
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
    assert names == []


def test_a_name_that_is_not_microsoft_s_is_left_alone(imds_redirect: ImdsServer, names: list[str]) -> None:
    with pytest.raises(httpx.ConnectError):
        with_httpx_on_trio("http://www.microsoft.com/pkiops/certs/any.crt", {})  # certificates are on the server itself

    assert names == ["www.microsoft.com"]
    assert asked_hosts(imds_redirect) == []
