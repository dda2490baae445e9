"""Which database a service connects to: the one in its own region, or else the first. The client is httpx."""

from __future__ import annotations

import httpx
import pytest

from pytest_imds import ImdsServer

DATABASES = {"swedencentral": "db-se.example.com", "westeurope": "db-nl.example.com"}


def database(imds: str) -> str:
    with httpx.Client(base_url=imds, headers={"Metadata": "true"}, trust_env=False, timeout=5) as client:
        query = {"api-version": "2021-02-01", "format": "text"}
        reply = client.get("/metadata/instance/compute/location", params=query)
    reply.raise_for_status()
    return DATABASES.get(reply.text.lower(), next(iter(DATABASES.values())))


@pytest.mark.imds_vm(location="westeurope")
def test_a_vm_uses_the_database_of_its_region(imds_server: ImdsServer) -> None:
    # Catches a client that asks for the leaf without format=text, which is a 400.
    assert database(imds_server.url) == "db-nl.example.com"


@pytest.mark.imds_vm(location="WestEurope")
def test_a_region_may_be_written_with_capitals(imds_server: ImdsServer) -> None:
    # Catches a look-up that takes the region for lower case: IMDS shows it as it was given.
    assert database(imds_server.url) == "db-nl.example.com"


@pytest.mark.imds_vm(location="japaneast")
def test_a_region_without_a_database_uses_the_first(imds_server: ImdsServer) -> None:
    # Catches a KeyError on the first day in a new region.
    assert database(imds_server.url) == "db-se.example.com"
