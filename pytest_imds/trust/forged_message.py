"""Forged messages: signatures, signers and certificates that do not belong together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cryptography.hazmat.primitives.hashes import HashAlgorithm

from pytest_imds.trust.alteration import Alteration, signer
from pytest_imds.trust.authority import FORGER_KEY, Authority, Path
from pytest_imds.trust.document import SignedData
from pytest_imds.trust.forged_certificates import renamed, stranger_name
from pytest_imds.trust.forged_content import tampered


def attacked(message: SignedData, path: Path, authority: Authority, attacker: Path) -> SignedData:
    """Add the certificate of an attacker, who signs."""
    signs = signer(authority, attacker, message.content or b"", message.digest_oid)
    return replace(message, certificates=(*message.certificates, authority.certificate(attacker)), signers=(signs,))


def decoy(message: SignedData, path: Path, authority: Authority) -> SignedData:
    """Let an attacker sign, whose certificate has the right names, behind the genuine one."""
    return attacked(message, path, authority, (replace(path[0], key=FORGER_KEY),))


def stranger(message: SignedData, path: Path, authority: Authority) -> SignedData:
    """Let somebody sign whose certificate leads to the root, but has another name."""
    leaf = renamed(path[0], stranger_name)
    return attacked(message, path, authority, (replace(leaf, key=FORGER_KEY), *path[1:]))


def certified_second_signer(message: SignedData, path: Path, authority: Authority) -> SignedData:
    """Add a second signer, and the certificate."""
    other = decoy(message, path, authority)
    return replace(other, signers=(*message.signers, *other.signers))


def second_signer(message: SignedData, path: Path, authority: Authority) -> SignedData:
    """Add a second signer, without the certificate."""
    return replace(certified_second_signer(message, path, authority), certificates=message.certificates)


def signed_before(message: SignedData, path: Path, authority: Authority) -> SignedData:
    """Sign another content than the one that is shown."""
    # The content is what the verifier wants to read; what was signed was another VM's.
    signs = signer(authority, path, tampered(message.content or b""), message.digest_oid)
    return replace(message, signers=(signs,))


def digest(digest_oid: str | None, algorithm: HashAlgorithm) -> Alteration:
    """Name another digest, or the right one where it is None, and sign with ``algorithm``."""

    def alter(message: SignedData, path: Path, authority: Authority) -> SignedData:
        oid = digest_oid or message.digest_oid
        signs = signer(authority, path, message.content or b"", oid, algorithm)
        return replace(message, digest_oid=oid, signers=(signs,))

    return Alteration(message=alter)


def signature(alter: Callable[[bytes], bytes]) -> Alteration:
    """Alter the signature."""

    def altered(message: SignedData, path: Path, authority: Authority) -> SignedData:
        (only,) = message.signers
        return replace(message, signers=(replace(only, signature=alter(only.signature)),))

    return Alteration(message=altered)
