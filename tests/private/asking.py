"""Asynchronous clients, which run on several loops, and whose certificate they ask for."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import anyio
import httpx
from cryptography import x509

from pytest_imds import ImdsServer
from tests import documents
from tests.private.addresses import TIMEOUT_S

# To make one takes httpx longer than to ask.
TRUST = ssl.create_default_context()
Get = Callable[[str, Mapping[str, str]], bytes]
GetLater = Callable[[str, Mapping[str, str]], Coroutine[Any, Any, bytes]]


class Issuer(NamedTuple):
    """A certificate, and where the one below it says that it is to be had."""

    url: str
    certificate: x509.Certificate


def issuer_at_microsoft(server: ImdsServer) -> Issuer:
    """The issuer of the leaf of a document, which is at a host of Microsoft's."""
    (url,) = documents.ca_issuers(documents.opened(server.attestation.document()).leaf)
    assert urlsplit(url).netloc == "www.microsoft.com"
    return Issuer(url, x509.load_pem_x509_certificate(server.attestation.chain[1]))


def request_for(url: str, headers: Mapping[str, str]) -> tuple[str, bytes]:
    """The host of a URL, and the bytes of a request for it, of those that end with the connection."""
    parts = urlsplit(url)
    fields = {"Host": parts.netloc, "Connection": "close", **headers}
    lines = [f"GET {parts.path}?{parts.query} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return str(parts.hostname), "\r\n".join([*lines, "", ""]).encode()


def body(reply: bytes) -> bytes:
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b" 200 " in head.partition(b"\r\n")[0], reply
    return body


async def with_httpx(url: str, headers: Mapping[str, str]) -> bytes:
    async with httpx.AsyncClient(timeout=TIMEOUT_S, verify=TRUST) as client:
        return (await client.get(url, headers=dict(headers))).raise_for_status().content


async def with_aiohttp(url: str, headers: Mapping[str, str]) -> bytes:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
        session.get(url, headers=headers) as response,
    ):
        return await response.read()


async def with_anyio(url: str, headers: Mapping[str, str]) -> bytes:
    host, request = request_for(url, headers)
    reply = b""
    with anyio.fail_after(TIMEOUT_S):
        async with await anyio.connect_tcp(host, 80) as stream:
            await stream.send(request)
            async for part in stream:
                reply += part
    return body(reply)


async def with_open_connection(url: str, headers: Mapping[str, str]) -> bytes:
    host, request = request_for(url, headers)
    reader, writer = await asyncio.wait_for(asyncio.open_connection(host, 80), TIMEOUT_S)
    writer.write(request)
    reply = await asyncio.wait_for(reader.read(), TIMEOUT_S)
    writer.close()
    await writer.wait_closed()
    return body(reply)


class _Reply(asyncio.Protocol):
    def __init__(self) -> None:
        self.reply = b""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.reply += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set_result(None)


async def with_create_connection(url: str, headers: Mapping[str, str]) -> bytes:
    host, request = request_for(url, headers)
    loop = asyncio.get_running_loop()
    transport, protocol = await asyncio.wait_for(loop.create_connection(_Reply, host, 80), TIMEOUT_S)
    transport.write(request)
    await asyncio.wait_for(protocol.over, TIMEOUT_S)
    return body(protocol.reply)


async def with_sock_connect(url: str, headers: Mapping[str, str]) -> bytes:
    """It connects to addresses alone."""
    host, request = request_for(url, headers)
    loop = asyncio.get_running_loop()
    reply = b""
    with socket.socket() as connecting:
        connecting.setblocking(False)
        await asyncio.wait_for(loop.sock_connect(connecting, (host, 80)), TIMEOUT_S)
        await loop.sock_sendall(connecting, request)
        while part := await asyncio.wait_for(loop.sock_recv(connecting, 65536), TIMEOUT_S):
            reply += part
    return body(reply)
