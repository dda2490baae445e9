"""The public interface as a user's type checker sees it. Checked by mypy, never run and never collected."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from faker import Faker
from pytest_httpserver import HTTPServer
from typing_extensions import assert_type

import pytest_imds
from pytest_imds import (
    CHECKS,
    FORGERIES,
    Attestation,
    AttestationError,
    AttestationSignatureError,
    Audit,
    Document,
    Event,
    Exchange,
    Finding,
    Fleet,
    Forgery,
    Identity,
    ImdsAuditError,
    ImdsAuditWarning,
    ImdsError,
    ImdsGuardError,
    ImdsNamespaceError,
    ImdsPortError,
    ImdsProvider,
    ImdsServer,
    ImdsServerError,
    ImdsUsageError,
    LoadBalancer,
    ScheduledEvents,
    ServerFactory,
    TokenIssuer,
    Vm,
)


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


def test_clients_and_programs(imds_redirect: ImdsServer) -> None:
    assert_type(imds_redirect.run(["true"], check=True, timeout=None), subprocess.CompletedProcess[Any])
    assert_type(imds_redirect.popen("true", shell=True, stdin=subprocess.PIPE), subprocess.Popen[Any])
    assert_type(imds_redirect.env(), dict[str, str])
    assert_type(imds_redirect.env({"PATH": "/bin"}), dict[str, str])
    with imds_redirect.redirected() as nothing:
        assert_type(nothing, None)
    errors: tuple[type[ImdsError], ...] = (ImdsGuardError, ImdsNamespaceError)
    assert errors


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


def test_attested_documents(imds_attested: Attestation) -> None:
    assert_type(imds_attested.root_pem, bytes)
    assert_type(imds_attested.root_path, Path)
    assert_type(imds_attested.intermediate_pem, bytes)
    assert_type(imds_attested.chain, tuple[bytes, ...])
    assert_type(imds_attested.cloud, str)
    assert_type(imds_attested.aia, str)


def test_a_document(imds_attested: Attestation) -> None:
    now = datetime.now(timezone.utc)
    document = imds_attested.document(
        nonce="abc", api_version="2021-02-01", created_on=now, expires_on=now + timedelta(hours=1), vm_id="", plan={}
    )
    reply: dict[str, str] = document
    assert_type(document, Document)
    assert_type(document.signature, str)
    assert_type(reply["encoding"], str)


def test_verifying(imds_attested: Attestation, imds_server: ImdsServer) -> None:
    now, document = datetime.now(timezone.utc), imds_server.attestation.document()
    members = imds_attested.verify(
        document, nonce=None, trust=b"", now=now, cloud="AzurePublicCloud", api_version="2021-02-01"
    )
    assert_type(members, dict[str, Any])
    assert_type(imds_attested.verify(document.signature), dict[str, Any])
    assert_type(imds_attested.verify({"encoding": "pkcs7", "signature": "..."}), dict[str, Any])


@pytest.mark.imds(chain="2026", aia="microsoft", digest_oid="sha256")
@pytest.mark.imds_forgeries(only=["chain", "sha1"], skip="self-signed")
def test_forging(imds_attested: Attestation, imds_forgery: Forgery) -> None:
    assert_type(imds_attested.forge(imds_forgery, nonce="abc", api_version="2021-02-01", vm_id=""), Document)
    assert_type(imds_attested.forge("sha1"), Document)
    assert_type(imds_attested.serve(imds_forgery), None)
    assert_type(imds_attested.serve("sha1"), None)
    with pytest.raises(AttestationError) as caught:
        imds_attested.verify(imds_attested.forge(imds_forgery))
    assert_type(caught.value.check, str)
    assert_type(imds_forgery.must_check, str)
    assert_type((imds_forgery.name, imds_forgery.why, imds_forgery.reference), tuple[str, str, str])


def test_the_forgeries_and_the_checks_that_there_are() -> None:
    forgeries: Mapping[str, Forgery] = FORGERIES
    checks: Mapping[str, str] = CHECKS
    assert_type(forgeries["sha1"].must_check, str)
    assert_type(checks["digest"], str)


def test_a_server_of_another_chain() -> None:
    with ImdsServer(chain="2026", aia="none", digest_oid="sha256", cloud="AzureChinaCloud") as server:
        assert_type(server.attestation, Attestation)


def test_mistakes_in_attested_documents_that_a_type_checker_finds(imds_attested: Attestation) -> None:
    imds_attested.document("abc")  # type: ignore[call-arg]
    imds_attested.document(created_on="today")  # type: ignore[arg-type]
    imds_attested.forge(7)  # type: ignore[arg-type]
    imds_attested.verify(b"MII")  # type: ignore[arg-type]
    imds_attested.verify("MII", trust=Path("root.pem"))  # type: ignore[arg-type]
    imds_attested.root_pem = b""  # type: ignore[misc]
    FORGERIES["own"] = FORGERIES["sha1"]  # type: ignore[index]
    FORGERIES["sha1"].name = "own"  # type: ignore[misc]
    ImdsServer(chain=2026)  # type: ignore[arg-type]


@pytest.mark.imds_vm(identity=None, user_identities=2, tenant_id="")
@pytest.mark.imds(identity_v2=True)
def test_managed_identity(imds_server: ImdsServer, imds_vm: Vm) -> None:
    assert_type(imds_server.identity, TokenIssuer)
    assert_type(imds_server.identity.issuer, str)
    assert_type(imds_server.identity.jwks_url, str)
    assert_type(imds_server.identity.openid_configuration_url, str)
    assert_type(imds_server.identity.jwks, dict[str, list[dict[str, Any]]])
    assert_type(imds_server.identity.unknown_resource("https://vault.azure.net", "api://orders"), None)
    assert_type(imds_vm.identities, list[Identity])
    assert_type(imds_vm.identities[0].system_assigned, bool)
    imds_vm.identities.append(Identity(client_id="", object_id="", resource_id=""))
    imds_vm.tenant_id = ""
    imds_server.identity.unknown_resource(7)  # type: ignore[arg-type]


def test_scheduled_events(imds_server: ImdsServer, imds_vm: Vm) -> None:
    assert_type(imds_server.events, ScheduledEvents)
    event = imds_server.events.schedule(
        "Preempt", resources=[imds_vm, "other"], notice_s=30, source="User", description="", duration_s=5, started=True
    )
    assert_type(event, Event)
    assert_type((event.event_id, event.event_type, event.status), tuple[str, str, str])
    assert_type(event.resources, tuple[str, ...])
    assert_type(event.not_before, datetime)
    assert_type(event.approved, bool)
    assert_type(event.start(), None)
    assert_type(event.cancel(), None)
    assert_type(event.complete(), None)
    assert_type(imds_server.events.incarnation, int)
    imds_server.events.first_call_s = 120
    imds_server.events.empty_body = True
    imds_server.events.approval_body = "{}"
    assert_type(imds_server.clock.advance(30), None)
    imds_server.events.schedule("Preempt", 30)  # type: ignore[call-arg, arg-type]
    event.approved = True  # type: ignore[misc]


def test_several_vms(make_imds_server: ServerFactory) -> None:
    assert_type(make_imds_server(), ImdsServer)
    assert_type(make_imds_server("windows", location="westeurope", newest="2020-10-01"), ImdsServer)
    assert_type(make_imds_server("scale-set", count=3), list[ImdsServer])
    fleet = Fleet()
    assert_type([ImdsServer("scale-set", seed=7, fleet=fleet) for _ in range(3)], list[ImdsServer])


@pytest.mark.imds_vm(public_ip="standard", load_balancer="gateway")
def test_a_load_balancer(imds_vm: Vm) -> None:
    assert_type(imds_vm.load_balancer, LoadBalancer)
    assert_type(imds_vm.load_balancer.inbound_rules[0].frontend_port, int)
    assert_type(imds_vm.load_balancer.refuse("internal"), None)
    imds_vm.load_balancer = LoadBalancer(public_ip_addresses=[])
    imds_vm.reprovision()
    assert_type(imds_vm.reprovision_data, str)


def takes_pythons_own(value: ValueError, system: OSError, assertion: AssertionError) -> None:
    """What each of the errors is besides an ImdsError."""


def test_errors() -> None:
    ours: list[ImdsError] = [ImdsUsageError(), ImdsPortError(), ImdsServerError()]
    takes_pythons_own(ImdsUsageError(), ImdsPortError(), ImdsServerError())
    with pytest.raises(ImdsUsageError) as caught:
        ImdsServer("linus")
    assert_type(caught.value, ImdsUsageError)
    assert caught.value not in ours
    reasons: list[AttestationError] = [AttestationSignatureError()]
    ours += reasons
    assert_type(AttestationSignatureError.check, str)


def test_version() -> None:
    assert_type(pytest_imds.__version__, str)


def test_an_audit(imds_audit: Audit, imds_server: ImdsServer) -> None:
    assert_type(imds_audit.findings, tuple[Finding, ...])
    finding = imds_audit.findings[0]
    assert_type(finding.requests, tuple[Exchange, ...])
    assert_type((finding.rule, finding.severity, finding.told, finding.change), tuple[str, str, str, str])
    assert_type(Audit([imds_server], audit=["nonce"], ignore="rate").judge(), None)
    error: ImdsError = ImdsAuditError()
    warning: UserWarning = ImdsAuditWarning()
    assert isinstance(error, AssertionError)
    assert warning.args == ()
