"""The root of trust of a session: keys, made on first use, and certificates, made once."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from pytest_imds.trust.certificate import Certificate, PrivateKey, write

LEAF_KEY, FORGER_KEY, TOKEN_KEY = "leaf", "forger", "token"
# Who signs documents and tokens has RSA keys whatever the authorities have.
RSA_KEYS = (LEAF_KEY, FORGER_KEY, TOKEN_KEY)
RSA_BITS, RSA_EXPONENT = 2048, 65537
# What the common name of an authority begins with; its key's name follows.
TEST = "pytest-imds TEST "
# What a fleet of a session's tests needs at a time; one is about two kilobytes.
LEAVES_KEPT = 512

Path = tuple[Certificate, ...]


class Authority:
    """The certificate authorities of a session.

    Keys exist in memory alone, for as long as the session.

    Args:
        keys: ``rsa``, or ``ec`` for authorities that are quicker to make; who signs documents and
            tokens has an RSA key in either case, as the service does.
    """

    def __init__(self, keys: str = "rsa") -> None:
        self._kind = keys
        self._keys: dict[str, PrivateKey] = {}
        self._leaves: dict[tuple[Certificate, Certificate], bytes] = {}
        self._issuers: dict[tuple[Certificate, Certificate], bytes] = {}
        self._kept: dict[str, bytes] = {}
        self._of_vms: dict[str, bytes] = {}

    def certificate(self, path: Path) -> bytes:
        """Return the first certificate of ``path`` in DER, issued by the second, or by itself if it is the last.

        The same certificate is the same bytes.
        """
        pair = (path[0], path[min(1, len(path) - 1)])
        known = self._leaves if path[0].leaf else self._issuers
        # Two threads may make it at once: setdefault lets one of them win, here and for keys.
        certificate = known.get(pair) or known.setdefault(pair, self._write(*pair))
        for oldest in list(self._leaves)[:-LEAVES_KEPT]:
            self._leaves.pop(oldest, None)
        return certificate

    def sign(self, key: str, content: bytes, digest: HashAlgorithm) -> bytes:
        """Return the RSA signature of ``content``, PKCS #1 v1.5, by the key of that name."""
        private = self.key(key)
        assert isinstance(private, rsa.RSAPrivateKey)  # noqa: S101 - the keys that sign are RSA keys
        return private.sign(content, PKCS1v15(), digest)

    def key(self, name: str) -> PrivateKey:
        """Return the key of that name; the first call makes it."""
        return self._keys.get(name) or self._keys.setdefault(name, self._new(name))

    def kept(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return what ``make`` returned the first time, for as long as the session."""
        return self._kept.get(name) or self._kept.setdefault(name, make())

    def of_vm(self, vm_id: str, make: Callable[[], bytes]) -> bytes:
        """Return what ``make`` returned the first time for this VM, as long as it is one of the latest."""
        made = self._of_vms.get(vm_id) or self._of_vms.setdefault(vm_id, make())
        for oldest in list(self._of_vms)[:-LEAVES_KEPT]:
            self._of_vms.pop(oldest, None)
        return made

    def _write(self, certificate: Certificate, issuer: Certificate) -> bytes:
        return write(certificate, self.key(certificate.key), issuer, self.key(issuer.key))

    def _new(self, name: str) -> PrivateKey:
        if self._kind == "ec" and name not in RSA_KEYS:
            return ec.generate_private_key(ec.SECP384R1())
        return rsa.generate_private_key(RSA_EXPONENT, RSA_BITS)


def pem(encoded: bytes) -> bytes:
    """Return a certificate in PEM."""
    from cryptography.x509 import load_der_x509_certificate

    return load_der_x509_certificate(encoded).public_bytes(Encoding.PEM)
