"""A client that asks for a new api-version, and makes do with what the service has. The client is requests."""

from __future__ import annotations

import pytest
import requests

from pytest_imds import ImdsServer, Vm


def vm_id(imds: str) -> str:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Metadata"] = "true"
        where = f"{imds}/metadata/instance/compute"
        reply = session.get(where, params={"api-version": "2025-04-07"}, timeout=5)
        if reply.status_code in (400, 404):  # 404 until 2020
            # An older service names its versions only to those who ask for none.
            newest = session.get(where, timeout=5).json()["newest-versions"][0]
            reply = session.get(where, params={"api-version": newest}, timeout=5)
    reply.raise_for_status()
    return str(reply.json()["vmId"])


def test_todays_service_is_asked_once(imds_server: ImdsServer, imds_vm: Vm) -> None:
    # Catches a client that always asks for the versions first.
    assert vm_id(imds_server.url) == imds_vm.vm_id
    assert len(imds_server.log) == 1


@pytest.mark.imds(newest="2020-10-01")
def test_the_service_of_2020_is_asked_for_its_newest_version(imds_server: ImdsServer, imds_vm: Vm) -> None:
    # Catches a client that looks for newest-versions in the first 400, where this service has none.
    assert vm_id(imds_server.url) == imds_vm.vm_id
    assert imds_server.log[-1][0].args["api-version"] == "2020-10-01"


@pytest.mark.imds(newest="2019-11-01")
def test_the_service_of_2019_answers_404_to_a_version_it_does_not_have(imds_server: ImdsServer, imds_vm: Vm) -> None:
    # Catches a client that falls back on 400 alone.
    assert vm_id(imds_server.url) == imds_vm.vm_id
