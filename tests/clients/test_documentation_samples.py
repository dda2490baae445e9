"""The samples of Azure's documentation, run by a shell; the host alone is another."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from pytest_imds import ImdsServer, Vm

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

TIMEOUT_S = 10


@pytest.fixture
def run(imds_server: ImdsServer) -> Any:
    """Run a sample, where ``$URL`` stands for ``http://169.254.169.254``, and return its output."""

    def run(sample: str) -> str:
        environment = {**os.environ, "URL": imds_server.url}
        finished = subprocess.run(
            ["sh", "-c", sample], env=environment, check=True, capture_output=True, timeout=TIMEOUT_S
        )
        return finished.stdout.decode()

    return run


def network_of(vm: Vm) -> dict[str, Any]:
    (interface,) = vm.interfaces
    (address,), (subnet,) = interface.ipv4.ip_addresses, interface.ipv4.subnets
    return {
        "interface": [
            {
                "ipv4": {
                    "ipAddress": [
                        {
                            "privateIpAddress": address.private_ip_address,
                            "publicIpAddress": address.public_ip_address,
                        }
                    ],
                    "subnet": [{"address": subnet.address, "prefix": subnet.prefix}],
                },
                "ipv6": {"ipAddress": []},
                "macAddress": interface.mac_address,
            }
        ]
    }


def test_the_whole_instance(run: Any, imds_vm: Vm) -> None:
    document = json.loads(run('curl -s -H Metadata:true --noproxy "*" "$URL/metadata/instance?api-version=2020-09-01"'))

    assert list(document) == ["compute", "network"]
    assert document["compute"]["vmId"] == imds_vm.vm_id
    assert document["compute"]["resourceId"] == imds_vm.resource_id
    assert document["network"] == network_of(imds_vm)


def test_the_vm_id(run: Any, imds_vm: Vm) -> None:
    output = run(
        'curl -s -H Metadata:true --noproxy "*"'
        ' "$URL/metadata/instance/compute/vmId?api-version=2017-08-01&format=text"'
    )

    assert output == imds_vm.vm_id


@pytest.mark.imds_vm(zone="")
def test_the_fault_domain(run: Any, imds_vm: Vm) -> None:
    imds_vm.platform_fault_domain = 2
    output = run(
        'curl -s -H Metadata:true --noproxy "*"'
        ' "$URL/metadata/instance/compute/platformFaultDomain?api-version=2017-04-02&format=text"'
    )

    assert output == "2"


@pytest.mark.imds_vm("windows", tags={"a": "1", "b": "2"}, data_disks=1)
def test_what_is_under_compute(run: Any, imds_vm: Vm) -> None:
    compute = json.loads(
        run('curl -s -H Metadata:true --noproxy "*" "$URL/metadata/instance/compute?api-version=2020-09-01"')
    )

    (disk,) = imds_vm.storage_profile.data_disks
    assert (compute["name"], compute["location"], compute["vmSize"]) == (
        imds_vm.name,
        imds_vm.location,
        imds_vm.vm_size,
    )
    assert compute["osProfile"] == {
        "adminUsername": imds_vm.os_profile.admin_username,
        "computerName": imds_vm.os_profile.computer_name,
    }
    assert compute["tags"] == "a:1;b:2"
    assert [(shown["lun"], shown["diskSizeGB"]) for shown in compute["storageProfile"]["dataDisks"]] == [
        ("0", str(disk.disk_size_gb))
    ]


@pytest.mark.imds(cloud="AzureChinaCloud")
def test_the_cloud_of_a_vm_in_china(run: Any, imds_vm: Vm) -> None:
    output = run(
        'curl -s -H Metadata:true --noproxy "*"'
        ' "$URL/metadata/instance/compute/azEnvironment?api-version=2018-10-01&format=text"'
    )

    assert (output, imds_vm.cloud) == ("AzureChinaCloud", "AzureChinaCloud")


def test_the_cloud(run: Any) -> None:
    output = run(
        'curl -s -H Metadata:true --noproxy "*"'
        ' "$URL/metadata/instance/compute/azEnvironment?api-version=2018-10-01&format=text"'
    )

    assert output == "AzurePublicCloud"


def test_the_network(run: Any, imds_vm: Vm) -> None:
    output = run('curl -s -H Metadata:true --noproxy "*" "$URL/metadata/instance/network?api-version=2017-08-01"')

    assert json.loads(output) == network_of(imds_vm)


PUBLIC_IP = (
    'curl -s -H Metadata:true --noproxy "*" '
    '"$URL/metadata/instance/network/interface/0/ipv4/ipAddress/0/publicIpAddress?api-version=2017-08-01&format=text"'
)


@pytest.mark.imds_vm(public_ip="basic")
def test_the_public_address(run: Any, imds_vm: Vm) -> None:
    address = imds_vm.interfaces[0].ipv4.ip_addresses[0].public_ip_address

    assert (run(PUBLIC_IP), bool(address)) == (address, True)


def test_a_vm_without_a_public_address_of_the_basic_sku_shows_none(run: Any) -> None:
    assert run(PUBLIC_IP) == ""


@pytest.mark.imds_vm(load_balancer="standard")
def test_the_load_balancer(run: Any, imds_vm: Vm) -> None:
    output = run('curl -s -H Metadata:true --noproxy "*" "$URL/metadata/loadbalancer?api-version=2020-10-01"')
    (rule, _) = json.loads(output)["loadbalancer"]["inboundRules"]

    assert rule["privateIpAddress"] == imds_vm.interfaces[0].ipv4.ip_addresses[0].private_ip_address


def test_a_token(run: Any, imds_vm: Vm) -> None:
    output = run(
        'curl -s "$URL/metadata/identity/oauth2/token?api-version=2018-02-01'
        '&resource=https%3A%2F%2Fmanagement.azure.com%2F" -H Metadata:true'
    )
    reply = json.loads(output)

    assert (reply["resource"], reply["client_id"]) == (
        "https://management.azure.com/",
        imds_vm.identities[0].client_id,
    )


def test_scheduled_events_are_shown_and_approved(run: Any, imds_server: ImdsServer) -> None:
    event = imds_server.events.schedule("Redeploy", source="User")
    output = run('curl -s -H Metadata:true "$URL/metadata/scheduledevents?api-version=2020-07-01"')
    (shown,) = json.loads(output)["Events"]
    # curl -d sends form data, whatever it is.
    answer = run(
        f'curl -s -H Metadata:true -X POST -d \'{{"StartRequests": [{{"EventId": "{shown["EventId"]}"}}]}}\''
        ' -w "%{http_code}" "$URL/metadata/scheduledevents?api-version=2020-07-01"'
    )

    assert (answer, event.status, event.approved) == ("200", "Started", True)
