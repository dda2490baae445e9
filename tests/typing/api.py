"""The public interface as a user's type checker sees it. Checked by mypy, never run and never collected."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from faker import Faker
from pytest_httpserver import HTTPServer
from typing_extensions import assert_type

import pytest_imds
from pytest_imds import ImdsError, ImdsPortError, ImdsProvider, ImdsServer, ImdsServerError, ImdsUsageError, Vm


def test_fixtures_and_what_they_hand_out(imds_server: ImdsServer, imds_vm: Vm) -> None:
    assert_type(imds_server.url, str)
    assert_type(imds_server.port, int)
    assert_type(imds_server.vm, Vm)
    assert_type(imds_server.clock.time(), float)
    assert_type(imds_server.url_for("/metadata/instance"), str)
    assert_type(imds_vm.vm_id, str)
    assert_type(imds_vm.tags, dict[str, str])
    assert_type(imds_vm.profile, str)
    assert_type(imds_vm.seed, int | str)
    assert_type(imds_vm.classic, bool)


def test_a_server_is_an_httpserver(imds_server: ImdsServer) -> None:
    server: HTTPServer = imds_server
    server.expect_request("/elsewhere").respond_with_data("mine")
    assert_type(imds_server.check(), None)


@pytest.mark.imds_vm("windows", data_disks=2, tags={"stage": "prod"})
@pytest.mark.imds(newest="2020-10-01", cloud="AzurePublicCloud")
def test_markers(imds_vm: Vm) -> None:
    assert_type(imds_vm.storage_profile.data_disks[0].disk_size_gb, int)
    assert_type(imds_vm.storage_profile.data_disks[0].is_shared_disk, bool | None)


def test_the_parts_of_a_vm(imds_vm: Vm) -> None:
    assert_type(imds_vm.interfaces[0].mac_address, str)
    assert_type(imds_vm.interfaces[0].ipv4.ip_addresses[0].public_ip_address, str)
    assert_type(imds_vm.os_profile.disable_password_authentication, bool | None)
    assert_type(imds_vm.public_keys[0].key_data, str)
    assert_type(imds_vm.security_profile.secure_boot_enabled, bool)
    assert_type(imds_vm.virtual_machine_scale_set.id, str)
    assert_type(imds_vm.platform_fault_domain, int)


def test_changing_a_vm(imds_vm: Vm) -> None:
    imds_vm.location = "westeurope"
    imds_vm.tags["stage"] = "prod"
    imds_vm.storage_profile.os_disk.disk_size_gb = 512
    imds_vm.override("/compute/licenseType", "Windows_Server")
    imds_vm.override("/compute/tagsList", [{"name": "stage", "value": "prod"}])
    imds_vm.reboot()
    imds_vm.reimage()


def test_mistakes_that_a_type_checker_finds(imds_server: ImdsServer, imds_vm: Vm) -> None:
    imds_vm.location = 7  # type: ignore[assignment]
    imds_vm.vmsize = "Standard_D4s_v5"  # type: ignore[attr-defined]
    imds_vm.override("/compute/licenseType", timedelta())  # type: ignore[arg-type]
    imds_server.vm = imds_vm  # type: ignore[misc]
    ImdsServer("linux", 7)  # type: ignore[call-arg]


@pytest.fixture
def server() -> Iterator[ImdsServer]:
    with ImdsServer("windows", seed=7, newest="2020-10-01", port=0, data_disks=2) as server:
        assert_type(server, ImdsServer)
        yield server


def test_a_server_without_pytest() -> None:
    server = ImdsServer(seed="text is a seed too")
    assert_type(server.start(), None)
    assert_type(server.stop(), None)


def test_vms_without_a_server() -> None:
    fake = Faker()
    fake.add_provider(ImdsProvider)
    provider = ImdsProvider(fake)
    assert_type(provider.imds_vm("spot", priority="Spot"), Vm)


def takes_pythons_own(value: ValueError, system: OSError, assertion: AssertionError) -> None:
    """What each of the errors is besides an ImdsError."""


def test_errors() -> None:
    ours: list[ImdsError] = [ImdsUsageError(), ImdsPortError(), ImdsServerError()]
    takes_pythons_own(ImdsUsageError(), ImdsPortError(), ImdsServerError())
    with pytest.raises(ImdsUsageError) as caught:
        ImdsServer("linus")
    assert_type(caught.value, ImdsUsageError)
    assert caught.value not in ours


def test_version() -> None:
    assert_type(pytest_imds.__version__, str)
