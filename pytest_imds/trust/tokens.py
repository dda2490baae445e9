"""Access tokens of managed identities: JWTs, and the key set that they are verified with.

What they say is data, with its sources: ``fixtures_data/identity.json``.
"""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime, timezone
from hashlib import sha1
from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pytest_imds import data
from pytest_imds.trust.authority import TOKEN_KEY, Authority
from pytest_imds.trust.setting import issuer
from pytest_imds.vm.identity import Identity
from pytest_imds.vm.model import Vm

# The certificate is a wrapping that nobody checks the dates of: valid whatever time a test lives in.
VALID_FROM, VALID_UNTIL = datetime(2000, 1, 1, tzinfo=timezone.utc), datetime(2099, 12, 31, tzinfo=timezone.utc)
SUBJECT = "pytest-imds TEST token signing - NOT MICROSOFT"


def claims(vm: Vm, identity: Identity, resource: str, issued: int, random: Random) -> dict[str, Any]:
    """Return what a token says, in the order of the real ones.

    Args:
        vm: the VM that has the identity.
        identity: whom the token is about.
        resource: what it is for.
        issued: when, in seconds since the epoch.
        random: what makes its opaque claims.

    Source: the rows ``jwt-...``, ``lifetime`` and ``issuers`` in ``fixtures_data/identity.json``.
    """
    known, issued_by = data.read("identity"), issuer(vm.cloud, vm.tenant_id)
    machine = arm_id(vm.resource_id.rpartition("/virtualMachines/")[0] if is_uniform(vm) else vm.resource_id)
    rest = {
        "aio": _base64url(random.randbytes(27)),
        "appid": identity.client_id,
        "idp": issued_by,
        "oid": identity.object_id,
        "rh": f"0.A{_base64url(random.randbytes(44))}.",
        "sub": identity.object_id,
        "tid": vm.tenant_id,
        "uti": _base64url(random.randbytes(16)),
        "xms_mirid": machine if identity.system_assigned else arm_id(identity.resource_id),
        "xms_tcdt": known["jwt-tcdt"]["value"],
        **({} if identity.system_assigned else {"xms_az_rid": machine}),
        **known["jwt-constants"]["claims"],
    }
    begins = issued - known["lifetime"]["before_s"]
    times = {"iat": begins, "nbf": begins, "exp": issued + known["lifetime"]["valid_s"]}
    return {"aud": resource, "iss": issued_by, **times, **dict(sorted(rest.items()))}


def signed(content: Mapping[str, Any], authority: Authority) -> str:
    """Return ``content`` as a JWT, signed with RS256.

    Source: ``jwt-header`` in ``fixtures_data/identity.json``.
    """
    key_id = thumbprint(authority)
    header = {"typ": "JWT", "alg": "RS256", "x5t": key_id, "kid": key_id}
    parts = ".".join(_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, content))
    return f"{parts}.{_base64url(authority.sign(TOKEN_KEY, parts.encode(), SHA256()))}"


def key_set(authority: Authority) -> dict[str, list[dict[str, Any]]]:
    """Return the key set (JWKS, RFC 7517) that tokens are verified with: one public key.

    Source: ``discovery`` in ``fixtures_data/identity.json``.
    """
    key_id, public = thumbprint(authority), authority.key(TOKEN_KEY).public_key()
    assert isinstance(public, RSAPublicKey)  # noqa: S101 - the keys that sign are RSA keys
    numbers = public.public_numbers()
    key = {
        "kty": "RSA",
        "use": "sig",
        "kid": key_id,
        "x5t": key_id,
        "n": _integer(numbers.n),
        "e": _integer(numbers.e),
        "x5c": [b64encode(_certificate(authority)).decode()],
    }
    return {"keys": [key]}


def thumbprint(authority: Authority) -> str:
    """Return the SHA-1 thumbprint of the certificate of the key, which RFC 7515 calls ``x5t``."""
    return _base64url(sha1(_certificate(authority), usedforsecurity=False).digest())


def is_uniform(vm: Vm) -> bool:
    """Return whether the VM is an instance of a uniform scale set."""
    return "/virtualMachineScaleSets/" in vm.resource_id


def arm_id(resource_id: str) -> str:
    """Return a resource id as tokens have it."""
    return resource_id.replace("/resourceGroups/", "/resourcegroups/")


def _certificate(authority: Authority) -> bytes:
    return authority.kept("token certificate", lambda: _self_signed(authority))


def _self_signed(authority: Authority) -> bytes:
    key, name = authority.key(TOKEN_KEY), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SUBJECT)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(VALID_FROM)
    return builder.not_valid_after(VALID_UNTIL).sign(key, SHA256()).public_bytes(Encoding.DER)


def _integer(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
