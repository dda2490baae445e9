"""google-auth exchanges tokens of managed identities, as workload identity federation from Azure does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import requests
from google.auth.exceptions import RefreshError
from google.auth.identity_pool import Credentials
from google.auth.transport.requests import Request as Transport
from werkzeug import Request, Response

from pytest_imds import ImdsServer, Vm
from tests.clients.redirected import TOKEN_PATH, Asked, asked, claims, error, redirect

POOL = "//iam.googleapis.com/projects/123456789/locations/global/workloadIdentityPools/azure/providers/entra"
APPLICATION = "api://fabrikam-in-google-cloud"
TARGET = f"{TOKEN_PATH}?api-version=2018-02-01&resource={APPLICATION}"
SCOPES = ["https://www.googleapis.com/auth/devstorage.read_only"]
EXCHANGE_PATH = "/v1/token"


@pytest.fixture(autouse=True)
def _redirected(monkeypatch: pytest.MonkeyPatch, imds_server: ImdsServer) -> None:
    redirect(monkeypatch, imds_server)


@pytest.fixture
def transport() -> Iterator[Transport]:
    """What google-auth asks through."""
    with requests.Session() as session:
        yield Transport(session)


def credentials(server: ImdsServer, selector: str = "") -> Credentials:
    """Credentials of a configuration as ``gcloud iam workload-identity-pools create-cred-config`` writes it."""
    configuration = {
        "type": "external_account",
        "audience": POOL,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{server.url}{EXCHANGE_PATH}",
        "credential_source": {
            "url": f"{server.url}{TARGET}{selector}",
            "headers": {"Metadata": "true"},
            "format": {"type": "json", "subject_token_field_name": "access_token"},
        },
    }
    made: Credentials = Credentials.from_info(configuration, scopes=SCOPES)  # type: ignore[no-untyped-call]
    return made


def retrieve(of: Credentials, transport: Transport) -> str:
    token: str = of.retrieve_subject_token(transport)
    return token


@pytest.mark.imds_vm(user_identities=1)
def test_the_subject_token_is_that_of_the_system_assigned_identity(
    transport: Transport, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    token = retrieve(credentials(imds_server), transport)

    found = claims(imds_server, token, APPLICATION)
    assert (found["oid"], found["tid"]) == (imds_vm.identities[0].object_id, imds_vm.tenant_id)
    assert asked(imds_server) == [Asked(TARGET, "true", 200)]


@pytest.mark.imds_vm(user_identities=1)
@pytest.mark.parametrize("attribute", ["client_id", "object_id"])
def test_the_subject_token_is_that_of_the_identity_that_the_url_names(
    attribute: str, transport: Transport, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    wanted = imds_vm.identities[-1]
    selector = f"&{attribute}={getattr(wanted, attribute)}"

    token = retrieve(credentials(imds_server, selector), transport)

    assert claims(imds_server, token, APPLICATION)["oid"] == wanted.object_id
    assert asked(imds_server) == [Asked(f"{TARGET}{selector}", "true", 200)]


@pytest.mark.imds_vm(identity=None)
def test_a_vm_without_an_identity_has_no_subject_token(transport: Transport, imds_server: ImdsServer) -> None:
    with pytest.raises(RefreshError, match="subject token") as caught:
        retrieve(credentials(imds_server), transport)

    assert error("identity-not-found")["error_description"] in caught.value.args[1]


class TokenExchange:
    """Google's end: it gives a token for one that Entra has signed, and believes the issuer and the key alone."""

    def __init__(self, server: ImdsServer) -> None:
        self._server = server
        self.subjects: list[str] = []

    def __call__(self, request: Request) -> Response:
        """Exchange a token (RFC 8693)."""
        form: dict[str, Any] = request.form.to_dict()
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
        assert (form["audience"], form["scope"]) == (POOL, " ".join(SCOPES))
        (key,) = jwt.PyJWKSet.from_dict(dict(self._server.identity.jwks)).keys
        issuer = self._server.identity.issuer
        found = jwt.decode(form["subject_token"], key, algorithms=["RS256"], audience=APPLICATION, issuer=issuer)
        self.subjects.append(found["sub"])
        reply = {
            "access_token": f"google-{len(self.subjects)}",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer",
            "expires_in": 3599,
        }
        return Response(json.dumps(reply), content_type="application/json")


def test_a_refresh_exchanges_the_token_of_the_managed_identity(
    transport: Transport, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    exchange = TokenExchange(imds_server)
    imds_server.expect_request(EXCHANGE_PATH, method="POST").respond_with_handler(exchange)
    of_google = credentials(imds_server)

    of_google.refresh(transport)  # type: ignore[no-untyped-call]

    assert exchange.subjects == [imds_vm.identities[0].object_id]
    assert (of_google.token, of_google.valid) == ("google-1", True)
    assert asked(imds_server) == [Asked(TARGET, "true", 200)]
