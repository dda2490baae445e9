"""azure-cli-core logs in with managed identities: what ``az login --identity`` and ``az account`` do.

The commands themselves are in the package azure-cli, which is far larger.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pytest_httpserver import HTTPServer

from pytest_imds import ImdsServer, Vm
from tests.clients.redirected import TOKEN_PATH, VALID_S, Asked, asked, claims, error, redirect, span

ADDRESS = "127.0.0.1"
# What the CLI takes for Azure Resource Manager's name.
ARM = "https://management.core.windows.net/"
TARGET = f"{TOKEN_PATH}?api-version=2018-02-01&resource={quote(ARM, safe='')}"
# Each with the parameter that it becomes, and what the CLI keeps in place of the identity.
SELECTORS = {
    "client_id": ("client_id", "MSIClient"),
    "object_id": ("object_id", "MSIObject"),
    "resource_id": ("msi_res_id", "MSIResource"),
}
NOBODY = "00000000-0000-0000-0000-000000000000"
NewProfile = Callable[[], Any]


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The package, with files of its own from the moment it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AZURE_CONFIG_DIR", str(tmp_path_factory.mktemp("azure")))
        pytest.importorskip("azure.mgmt.resource.subscriptions")
        pytest.importorskip("azure.cli.core._profile")
        return pytest.importorskip("azure.cli.core")


@pytest.fixture(scope="module")
def certificate(core: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for the loopback address."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ADDRESS)])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(ADDRESS))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    path = tmp_path_factory.mktemp("arm") / "certificate.pem"
    written = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(written + made.public_bytes(Encoding.PEM))
    return path


@pytest.fixture(scope="module")
def endpoint(certificate: Path) -> Iterator[HTTPServer]:
    """A server with TLS, without which clients send no token."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with HTTPServer(ADDRESS, ssl_context=context) as server:
        yield server


@pytest.fixture
def arm(endpoint: HTTPServer, imds_vm: Vm) -> HTTPServer:
    """Azure Resource Manager, which lists the subscription of the VM."""
    subscription = {
        "id": f"/subscriptions/{imds_vm.subscription_id}",
        "subscriptionId": imds_vm.subscription_id,
        "tenantId": imds_vm.tenant_id,
        "displayName": "Production",
        "state": "Enabled",
    }
    endpoint.clear()
    endpoint.expect_request("/subscriptions").respond_with_json({"value": [subscription]})
    return endpoint


@pytest.fixture
def new_profile(
    core: Any,
    monkeypatch: pytest.MonkeyPatch,
    imds_server: ImdsServer,
    arm: HTTPServer,
    certificate: Path,
    tmp_path: Path,
) -> NewProfile:
    """Make the CLI's memory of who is logged in, as every command does; it is kept in files."""
    redirect(monkeypatch, imds_server)
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

    def make() -> Any:
        cli = core.get_default_cli()
        monkeypatch.setattr(cli.cloud.endpoints, "resource_manager", arm.url_for("/"))
        return core._profile.Profile(cli_ctx=cli)

    return make


def test_a_login_finds_the_tenant_in_the_token_and_the_subscriptions_with_it(
    new_profile: NewProfile, arm: HTTPServer, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    (account,) = new_profile().login_with_managed_identity()

    assert (account["id"], account["tenantId"]) == (imds_vm.subscription_id, imds_vm.tenant_id)
    assert account["user"] == {
        "name": "systemAssignedIdentity",
        "type": "servicePrincipal",
        "assignedIdentityInfo": "MSI",
    }
    ((request, _),) = arm.log
    token = request.headers["Authorization"].removeprefix("Bearer ")
    assert claims(imds_server, token, ARM)["oid"] == imds_vm.identities[0].object_id
    assert asked(imds_server) == [Asked(TARGET, "true", 200)]


@pytest.mark.imds_vm(user_identities=2)
@pytest.mark.parametrize("attribute", SELECTORS)
def test_a_command_after_the_login_gets_a_token_of_the_same_identity(
    attribute: str, new_profile: NewProfile, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    wanted = imds_vm.identities[-1]
    value = getattr(wanted, attribute)
    parameter, kept_as = SELECTORS[attribute]

    with span() as taken:
        (account,) = new_profile().login_with_managed_identity(**{attribute: value})
        (kind, token, entry), subscription, tenant = new_profile().get_raw_token()

    assert account["user"]["assignedIdentityInfo"] == f"{kept_as}-{value}"
    assert (kind, subscription, tenant) == ("Bearer", imds_vm.subscription_id, imds_vm.tenant_id)
    assert claims(imds_server, token, ARM)["oid"] == wanted.object_id
    assert taken.has(entry["expires_on"] - VALID_S)
    # The CLI keeps no token of a managed identity: the service does.
    assert asked(imds_server) == [Asked(f"{TARGET}&{parameter}={quote(value, safe='')}", "true", 200)] * 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({"client_id": NOBODY}, "identity-not-found", id="wrong"),
        pytest.param({}, "identity-not-found", id="no-identity", marks=pytest.mark.imds_vm(identity=None)),
        pytest.param({}, "identity-several", id="several", marks=pytest.mark.imds_vm(identity=None, user_identities=2)),
    ],
)
def test_a_login_says_why_it_gets_no_token(
    options: dict[str, str],
    reason: str,
    core: Any,
    new_profile: NewProfile,
    arm: HTTPServer,
    imds_server: ImdsServer,
) -> None:
    profile = new_profile()

    with pytest.raises(core.azclierror.AuthenticationError, match=error(reason)["error_description"]):
        profile.login_with_managed_identity(**options)

    assert [status for _, _, status in asked(imds_server)] == [400]
    assert arm.log == []
