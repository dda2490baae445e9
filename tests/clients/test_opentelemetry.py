"""OpenTelemetry's detector of Azure VMs, with its endpoint pointed at the server."""

from __future__ import annotations

import pytest
from opentelemetry.resource.detector.azure import vm as detector
from opentelemetry.resource.detector.azure.vm import AzureVMResourceDetector

from pytest_imds import ImdsServer, Vm

REAL_HOST = "http://169.254.169.254/"


@pytest.fixture(autouse=True)
def _endpoint(monkeypatch: pytest.MonkeyPatch, imds_server: ImdsServer) -> None:
    """Change the host of the detector's endpoint, and nothing else of it."""
    real: str = detector._AZURE_VM_METADATA_ENDPOINT  # type: ignore[attr-defined]
    assert real.startswith(REAL_HOST)
    monkeypatch.setattr(detector, "_AZURE_VM_METADATA_ENDPOINT", real.replace(REAL_HOST, f"{imds_server.url}/"))
    # The detector asks through urllib, which would take a proxy from the environment.
    monkeypatch.setenv("no_proxy", "*")
    # It takes these for signs that it does not run on a plain VM.
    for name in ("AKS_ARM_NAMESPACE_ID", "CLUSTER_RESOURCE_ID", "WEBSITE_SITE_NAME", "FUNCTIONS_WORKER_RUNTIME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(name, marks=pytest.mark.imds_vm(name))
        for name in ("linux", "windows", "scale-set", "scale-set-flex", "custom-image")
    ],
)
def test_the_detector_describes_the_vm(imds_vm: Vm, profile: str) -> None:
    assert imds_vm.profile == profile
    assert dict(AzureVMResourceDetector().detect().attributes) == {
        "azure.vm.scaleset.name": imds_vm.vm_scale_set_name,
        "azure.vm.sku": imds_vm.sku,
        "cloud.platform": "azure_vm",
        "cloud.provider": "azure",
        "cloud.region": imds_vm.location,
        "cloud.resource_id": imds_vm.resource_id,
        "host.id": imds_vm.vm_id,
        "host.name": imds_vm.name,
        "host.type": imds_vm.vm_size,
        "os.type": imds_vm.os_type,
        "os.version": imds_vm.version,
        "service.instance.id": imds_vm.vm_id,
    }


@pytest.mark.imds(newest="2021-02-01")
def test_the_detector_finds_nothing_on_a_service_that_is_too_old_for_it() -> None:
    assert dict(AzureVMResourceDetector().detect().attributes) == {}
