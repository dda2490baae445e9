"""Clients that keep their connections: the server keeps them too."""

from __future__ import annotations

import asyncio

import aiohttp
import httpx
import requests

from pytest_imds import ImdsServer, Vm

METADATA = {"Metadata": "true"}
REQUESTS = 5
AT_ONCE = 20
TIMEOUT_S = 5


def url_of_name(server: ImdsServer) -> str:
    return f"{server.url}/metadata/instance/compute/name?api-version=2021-02-01&format=text"


def connections(server: ImdsServer) -> set[int]:
    """The ports that the requests came from: one for each connection."""
    return {request.environ["REMOTE_PORT"] for request, _ in server.log}


def test_a_session_of_requests_needs_one_connection(imds_server: ImdsServer, imds_vm: Vm) -> None:
    url = url_of_name(imds_server)
    with requests.Session() as session:
        session.trust_env = False
        names = [session.get(url, headers=METADATA, timeout=TIMEOUT_S).text for _ in range(REQUESTS)]

    assert names == [imds_vm.name] * REQUESTS
    assert len(connections(imds_server)) == 1


def test_refusals_keep_the_connection_of_a_session_open(imds_server: ImdsServer) -> None:
    url = url_of_name(imds_server)
    with requests.Session() as session:
        session.trust_env = False
        statuses = [
            session.get(url, headers=headers, timeout=TIMEOUT_S).status_code
            for headers in ({}, METADATA, {"X-Forwarded-For": "10.0.0.1", **METADATA}, METADATA)
        ]

    assert statuses == [400, 200, 400, 200]
    assert len(connections(imds_server)) == 1


def test_a_client_of_httpx_needs_one_connection(imds_server: ImdsServer, imds_vm: Vm) -> None:
    with httpx.Client(headers=METADATA, timeout=TIMEOUT_S, trust_env=False) as client:
        names = [client.get(url_of_name(imds_server)).text for _ in range(REQUESTS)]

    assert names == [imds_vm.name] * REQUESTS
    assert len(connections(imds_server)) == 1


def test_a_session_of_aiohttp_needs_one_connection(imds_server: ImdsServer, imds_vm: Vm) -> None:
    async def ask() -> list[str]:
        names = []
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(headers=METADATA, timeout=timeout) as session:
            for _ in range(REQUESTS):
                async with session.get(url_of_name(imds_server)) as response:
                    names.append(await response.text())
        return names

    assert asyncio.run(ask()) == [imds_vm.name] * REQUESTS
    assert len(connections(imds_server)) == 1


def test_twenty_requests_at_once_are_all_answered(imds_server: ImdsServer, imds_vm: Vm) -> None:
    async def ask() -> list[str]:
        async with httpx.AsyncClient(headers=METADATA, timeout=TIMEOUT_S, trust_env=False) as client:
            replies = await asyncio.gather(*(client.get(url_of_name(imds_server)) for _ in range(AT_ONCE)))
        return [reply.text for reply in replies]

    assert asyncio.run(ask()) == [imds_vm.name] * AT_ONCE
    assert len(imds_server.log) == AT_ONCE
