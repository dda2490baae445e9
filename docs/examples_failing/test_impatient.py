"""A client that gives up while its host is being serviced. Its test fails, and the report shows what it did."""

from __future__ import annotations

import time

import pytest
import requests

from pytest_imds import Clock, ImdsServer, Vm


def name_of_this_vm(imds: str) -> str | None:
    """Ask three times, which is not enough: IMDS may be gone for 70 seconds."""
    for _ in range(3):
        url = f"{imds}/metadata/instance/compute?api-version=2021-02-01"
        reply = requests.get(url, headers={"Metadata": "true"}, timeout=5)
        if reply.ok:
            return str(reply.json()["name"])
        time.sleep(10)
    return None


@pytest.mark.imds_vm(name="web-1")
@pytest.mark.imds_fault("gone", window=70)
def test_waits(imds_server: ImdsServer, imds_vm: Vm, imds_clock: Clock) -> None:
    name = name_of_this_vm(imds_server.url)
    assert name == imds_vm.name
