"""A host without a server, for the tests of what lies below it."""

from __future__ import annotations

from pytest_imds.clock import Clock
from pytest_imds.host import Host
from pytest_imds.service.versions import supported
from pytest_imds.trust.attestation import Attestation
from pytest_imds.trust.authority import Authority
from pytest_imds.trust.setting import Setting
from pytest_imds.vm.model import Vm

AUTHORITY = Authority()
ADDRESSES = {False: "http://127.0.0.1:8080", True: "http://localhost:8080"}


def attestation(
    vm: Vm, setting: Setting | None = None, clock: Clock | None = None, newest: str | None = None
) -> Attestation:
    return Attestation(
        vm, clock or Clock(), supported(newest)[-1], setting or Setting(), lambda: AUTHORITY, ADDRESSES.__getitem__
    )


def host(vm: Vm, newest: str | None = None) -> Host:
    return Host(vm, attestation(vm, newest=newest), newest)
