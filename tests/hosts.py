"""A host without a server, for the tests of what lies below it."""

from __future__ import annotations

from random import Random

from pytest_imds.clock import Clock
from pytest_imds.events.fleet import Fleet
from pytest_imds.events.scheduled import ScheduledEvents
from pytest_imds.host import Host
from pytest_imds.service.versions import supported
from pytest_imds.trust.attestation import Attestation
from pytest_imds.trust.authority import Authority
from pytest_imds.trust.issuer import TokenIssuer
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


def host(
    vm: Vm, newest: str | None = None, *, fleet: Fleet | None = None, identity_v2: bool = False, seed: int = 0
) -> Host:
    fleet = fleet or Fleet()
    return Host(
        vm=vm,
        attestation=attestation(vm, clock=fleet.clock, newest=newest),
        identity=TokenIssuer(vm, fleet.clock, Random(seed), lambda: AUTHORITY, ADDRESSES.__getitem__),
        events=ScheduledEvents(vm, fleet, Random(seed)),
        clock=fleet.clock,
        random=Random(seed),
        authority=lambda: AUTHORITY,
        newest=newest,
        identity_v2=identity_v2,
    )
