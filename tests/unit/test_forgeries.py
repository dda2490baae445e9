"""Forgeries: each differs from a good document in what it says, and in nothing else."""

from __future__ import annotations

import pickle
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, fields
from datetime import datetime, timezone
from functools import cache
from itertools import cycle
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509.oid import ExtensionOID, NameOID

from pytest_imds import FORGERIES, Attestation, AttestationError, Document, Forgery, ImdsUsageError, data
from pytest_imds.trust.forging import ALTERATIONS
from pytest_imds.vm.model import Vm
from tests import documents, hosts
from tests.documents import CHAINS, Opened
from tests.every import every

NOW = datetime(2026, 3, 4, 12, 5, 6, tzinfo=timezone.utc)
NONCE = "abcde12345"
STEPS = {
    name: [step.name for step in fields(alteration) if getattr(alteration, step.name) is not None]
    for name, alteration in ALTERATIONS.items()
}
# The parts of the message that a change of each step touches.
TOUCHED = {
    "members": {"content", "signatures"},
    "text": {"content", "signatures"},
    "path": {"certificates", "signer_serials"},
    "access": {"certificates", "signer_serials"},
}
SIGNED_BY_ANOTHER = {"certificates", "signer_serials", "signatures"}
OF_THE_MESSAGE = {
    "self-signed": SIGNED_BY_ANOTHER,
    "decoy-certificate": SIGNED_BY_ANOTHER,
    "decoy-other-name": SIGNED_BY_ANOTHER,
    "extra-signer": {"digest_oids", "signer_serials", "signatures"},
    "extra-signer-certified": SIGNED_BY_ANOTHER | {"digest_oids"},
    "no-signers": {"digest_oids", "signer_serials", "signatures"},
    "no-certificates": {"certificates"},
    # What is said is true of the VM; what was signed is not.
    "tampered-content": {"signatures"},
    "detached": {"content"},
    "tampered-signature": {"signatures"},
    "random-signature": {"signatures"},
    "sha1-signed-as-sha256": {"signatures"},
    "sha1": {"digest_oids", "signatures"},
    "unknown-digest": {"digest_oids"},
}
IN_THE_MESSAGE = [name for name, steps in STEPS.items() if steps[0] not in ("encoded", "reply")]
SIGNED_OVER_ANOTHER_DIGEST = {"sha1", "sha1-signed-as-sha256"}


@pytest.fixture(autouse=True)
def at_noon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("time.time", NOW.timestamp)
    yield
    monkeypatch.undo()


@cache
def of_chain(chain: str) -> Attestation:
    return documents.attestation(chain=chain)


def pair(name: str, chain: str = "2024") -> tuple[Opened, Opened]:
    """A good document and the forgery."""
    attestation = of_chain(chain)
    return documents.opened(attestation.document(nonce=NONCE)), documents.opened(attestation.forge(name, nonce=NONCE))


def signed(leaf: x509.Certificate, opened: Opened) -> bool:
    key = leaf.public_key()
    assert isinstance(key, RSAPublicKey)
    try:
        key.verify(opened.signatures[0], opened.content, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


@every("name", ALTERATIONS)
def test_one_step_is_done_in_another_way(name: str) -> None:
    assert len(STEPS[name]) == 1


@every(("name", "chain"), list(zip(IN_THE_MESSAGE, cycle(CHAINS), strict=False)))
def test_a_forgery_touches_its_part_of_the_message_alone(name: str, chain: str) -> None:
    good, forged = pair(name, chain)
    differ = {part.name for part in fields(Opened) if getattr(good, part.name) != getattr(forged, part.name)}

    assert differ == (OF_THE_MESSAGE.get(name) or TOUCHED[STEPS[name][0]])


@every("name", [name for name in IN_THE_MESSAGE if STEPS[name][0] != "message"])
def test_a_forgery_of_content_or_certificates_is_signed_by_its_certificate(name: str) -> None:
    _, forged = pair(name)

    assert len(forged.certificates) == 1
    assert signed(forged.leaf, forged)


@pytest.mark.parametrize("name", [name for name, one in FORGERIES.items() if one.must_check == "signature"])
def test_a_forgery_of_the_signature_has_none_over_its_content(name: str) -> None:
    assert not signed(pair(name)[0].leaf, pair(name)[1])


@pytest.mark.parametrize("name", sorted(SIGNED_OVER_ANOTHER_DIGEST))
def test_a_signature_over_sha1_is_one(name: str) -> None:
    _, forged = pair(name)
    key = forged.leaf.public_key()

    assert isinstance(key, RSAPublicKey)
    key.verify(forged.signatures[0], forged.content, PKCS1v15(), SHA1())


@every("chain", CHAINS)
@every("name", [name for name, steps in STEPS.items() if steps[0] == "access"])
def test_a_forgery_of_access_changes_where_the_issuer_is_said_to_be_and_nothing_else(name: str, chain: str) -> None:
    good, forged = (opened.leaf for opened in pair(name, chain))
    elsewhere = ExtensionOID.AUTHORITY_INFORMATION_ACCESS

    assert documents.ca_issuers(good) != documents.ca_issuers(forged)
    assert [one for one in good.extensions if one.oid != elsewhere] == [
        one for one in forged.extensions if one.oid != elsewhere
    ]
    assert (good.subject, good.issuer, good.public_key()) == (forged.subject, forged.issuer, forged.public_key())
    assert good.not_valid_after_utc == forged.not_valid_after_utc


# A document of the same bytes, or the beginning of them, or more.
AROUND_THE_MESSAGE: dict[str, Callable[[bytes, Document], object]] = {
    "trailing-bytes": lambda good, forged: b64decode(forged.signature) == good + b"\0\0\0\0",
    "truncated": lambda good, forged: good.startswith(b64decode(forged.signature)) and forged.signature,
    "garbage": lambda good, forged: (
        len(good) == len(b64decode(forged.signature)) and b64decode(forged.signature) != good
    ),
    "truncated-base64": lambda good, forged: len(forged.signature) % 4 == 1,
    "urlsafe-base64": lambda good, forged: b64decode(forged.signature, altchars=b"-_", validate=True) == good,
    "wrapped-base64": lambda good, forged: b64decode(forged.signature) == good and "\n" in forged.signature,
    "wrong-encoding": lambda good, forged: b64decode(forged.signature) == good and forged["encoding"] == "cms",
    "no-signature": lambda good, forged: forged == {"encoding": "pkcs7"},
}


@pytest.mark.parametrize("name", sorted(set(ALTERATIONS) - set(IN_THE_MESSAGE)))
def test_a_forgery_around_the_message_leaves_the_message_as_it_is(name: str) -> None:
    good = of_chain("2024").document(nonce=NONCE)

    assert AROUND_THE_MESSAGE[name](b64decode(good.signature), of_chain("2024").forge(name, nonce=NONCE))


@every("profile", ["linux", "marketplace", "windows", "custom-image"])
@every("cloud", documents.CLOUDS)
def test_a_name_is_forged_for_any_cloud_and_keeps_its_region(profile: str, cloud: str) -> None:
    attestation = documents.attestation(profile, cloud=cloud)
    region, domain = documents.vm(profile, cloud=cloud).location, documents.CLOUDS[cloud]

    names = {}
    for name in ("name-suffix", "name-prefix"):
        leaf = documents.opened(attestation.forge(name)).leaf
        alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names[name] = alternatives.get_values_for_type(x509.DNSName)
        (common_name,) = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert common_name.value == names[name][1]
    assert names["name-suffix"] == [f"{region}.{domain}.evil.example", f"{domain}.evil.example"]
    assert names["name-prefix"] == [f"{region}.evil{domain}", f"evil{domain}"]


def test_every_forgery_of_the_data_is_one_in_its_order() -> None:
    rows = data.read("forgeries")["forgeries"]

    assert list(FORGERIES) == list(rows)
    for name, forgery in FORGERIES.items():
        row = rows[name]
        assert forgery == Forgery(name, row["why"], row["must_check"], row["reference"])
        assert str(forgery) == name


def test_forgeries_cannot_be_changed_and_can_be_pickled() -> None:
    forgery = FORGERIES["replayed"]

    assert pickle.loads(pickle.dumps(forgery)) == forgery
    with pytest.raises(FrozenInstanceError):
        forgery.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        FORGERIES["x"] = forgery  # type: ignore[index]


def test_a_forgery_is_asked_for_by_itself_or_by_its_name() -> None:
    attestation = of_chain("2024")

    assert attestation.forge(FORGERIES["sha1"], nonce=NONCE) == attestation.forge("sha1", nonce=NONCE)
    assert isinstance(attestation.forge("sha1"), Document)


def changed_vm(**attributes: str) -> Vm:
    vm = documents.vm()
    for name, value in attributes.items():
        setattr(vm, name, value)
    return vm


# A forgery that would be no other than the good document: whose VM, asked for how.
NO_OTHER: list[tuple[str, Vm, dict[str, Any]]] = [
    ("no-subscription", documents.vm(), {"api_version": "2018-10-01"}),
    ("old-members", documents.vm(), {"api_version": "2018-10-01"}),
    ("old-members", documents.vm("classic"), {}),
    ("no-subscription", documents.vm("classic"), {}),
    ("empty-vm-id", changed_vm(vm_id=""), {}),
    ("empty-vm-id", documents.vm(), {"vm_id": ""}),
    ("vm-id-not-a-guid", changed_vm(vm_id="web-01"), {}),
    # There is nothing to be wrong: what is added is no claim that a verifier of this api-version would look at.
    ("other-subscription", documents.vm(), {"api_version": "2018-10-01"}),
    ("other-subscription", documents.vm("classic"), {}),
    ("licensed", documents.vm(), {"api_version": "2019-11-01"}),
    ("licensed", documents.vm("classic"), {}),
]


def assert_fails_for_its_reason(
    attestation: Attestation, name: str, asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    """Nobody is left with a forgery that is none: either it is not made, or the reference verifier refuses it."""
    with pytest.raises((ImdsUsageError, AttestationError)) as caught:
        attestation.verify(attestation.forge(name, **asked), **sent)
    if isinstance(caught.value, AttestationError):
        assert caught.value.check == FORGERIES[name].must_check
    else:
        assert name in str(caught.value)


@pytest.mark.parametrize(("name", "vm", "asked"), NO_OTHER, ids=lambda value: value if isinstance(value, str) else "")
def test_a_forgery_that_would_be_no_forgery_is_an_error_or_is_refused(name: str, vm: Vm, asked: dict[str, Any]) -> None:
    sent = {"api_version": asked.get("api_version")}
    assert_fails_for_its_reason(hosts.attestation(vm), name, asked, sent)


@every("name", ["wrong-nonce", "cached-nonce", "default-nonce", "replayed"])
@every("nonce", ["1029384756", "20260304-110506", "20260304-180506", None])
def test_a_wrong_nonce_is_never_the_one_that_was_sent(name: str, nonce: str | None) -> None:
    assert_fails_for_its_reason(of_chain("2024"), name, {"nonce": nonce}, {"nonce": nonce})
