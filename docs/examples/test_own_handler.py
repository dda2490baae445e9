"""A handler of the test's own answers first, and IMDS answers the rest. The client is httpx."""

from __future__ import annotations

import httpx
import pytest

from pytest_imds import ImdsServer, Vm


def zone(imds: str, attempts: int = 3) -> str:
    query = {"api-version": "2021-02-01", "format": "text"}
    with httpx.Client(base_url=imds, headers={"Metadata": "true"}, trust_env=False, timeout=5) as client:
        for _ in range(attempts):
            reply = client.get("/metadata/instance/compute/zone", params=query)
            if reply.status_code < 500:
                break
    reply.raise_for_status()
    return reply.text


@pytest.mark.imds_vm(location="westeurope", zone=2)
def test_one_server_error_is_survived(imds_server: ImdsServer) -> None:
    # Catches a client that does not try again.
    imds_server.expect_oneshot_request("/metadata/instance/compute/zone").respond_with_data(status=500)
    assert zone(imds_server.url) == "2"
    assert [response.status_code for _, response in imds_server.log] == [500, 200]


@pytest.mark.imds_vm("minimal")
def test_a_refusal_is_not_asked_again(imds_server: ImdsServer) -> None:
    # Catches a client that tries again whatever the answer was.
    imds_server.expect_request("/metadata/instance/compute/zone").respond_with_data(status=400)
    with pytest.raises(httpx.HTTPStatusError):
        zone(imds_server.url)
    assert len(imds_server.log) == 1


def register(imds: str, registry: str) -> None:
    query = {"api-version": "2021-02-01"}
    with httpx.Client(headers={"Metadata": "true"}, trust_env=False, timeout=5) as client:
        compute = client.get(f"{imds}/metadata/instance/compute", params=query).raise_for_status().json()
        client.post(registry, json={"id": compute["vmId"], "size": compute["vmSize"]}).raise_for_status()


def test_a_vm_registers_itself(imds_server: ImdsServer, imds_vm: Vm) -> None:
    # Catches a client that sends the name for the id.
    expected = {"id": imds_vm.vm_id, "size": imds_vm.vm_size}
    imds_server.expect_request("/vms", method="POST", json=expected).respond_with_data(status=201)
    register(imds_server.url, imds_server.url_for("/vms"))
