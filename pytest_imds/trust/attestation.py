"""What a test holds of the root of trust: documents, forgeries, certificates, the verifier.

cryptography takes longer to import than most tests run: nothing here imports it
before a document or a certificate is asked for.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_imds import data
from pytest_imds.clock import Clock
from pytest_imds.errors import ImdsUsageError
from pytest_imds.tree import Json
from pytest_imds.trust import content
from pytest_imds.trust.deliveries import Deliveries
from pytest_imds.trust.document import Document
from pytest_imds.trust.forgeries import Forgery, forgery
from pytest_imds.trust.setting import MICROSOFT, Setting, domain
from pytest_imds.vm.model import Vm

if TYPE_CHECKING:
    from cryptography import x509

    from pytest_imds.trust.authority import Authority
    from pytest_imds.trust.mint import Mint


class Attestation:
    """The attested documents of a VM, and the test root of trust that they lead to.

    Args:
        vm: the VM.
        clock: the time of the service.
        newest: the newest api-version that the service has.
        setting: how documents are signed.
        authority: returns who signs.
        address: returns how URLs on the test's server begin; by another name for ``True``.
    """

    def __init__(
        self,
        vm: Vm,
        clock: Clock,
        newest: str,
        setting: Setting,
        authority: Callable[[], Authority],
        address: Callable[[bool], str],
    ) -> None:
        self._vm = vm
        self._clock = clock
        self._newest = newest
        self._setting = setting
        self._authority = authority
        self._address = address
        self.deliveries = Deliveries(partial(_issuers, setting, address))
        self._served = ""

    @property
    def cloud(self) -> str:
        """The cloud of the VM, such as ``AzurePublicCloud``; it decides the domain of the signer's certificate."""
        return self._vm.cloud

    @property
    def aia(self) -> str:
        """Where issuers' certificates are to be had, such as ``loopback``, ``dual``, ``microsoft``, ``dead`` ..."""
        return self._setting.aia

    @property
    def issuer_hosts(self) -> tuple[str, ...]:
        """The hosts of others that good documents name for issuers' certificates; ``microsoft`` alone has any."""
        return _issuer_hosts(self._setting)

    @property
    def root_pem(self) -> bytes:
        """The certificate to trust, in PEM."""
        return self._pem()[-1]

    @property
    def root_path(self) -> Path:
        """A file with ``root_pem`` that this user alone may read; it is deleted when the test ends."""
        path = self._file
        path.write_bytes(self.root_pem)
        return path

    @property
    def intermediate_pem(self) -> bytes:
        """The certificate of the authority that issued the signer's, in PEM."""
        return self._pem()[1]

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The signer's certificate and those of its issuers, in PEM, without the root's."""
        return self._pem()[:-1]

    def document(
        self,
        *,
        nonce: str | None = None,
        api_version: str | None = None,
        created_on: datetime | None = None,
        expires_on: datetime | None = None,
        **payload: Any,
    ) -> Document:
        """Return a document as the service would answer it, signed.

        Args:
            nonce: the nonce of the request; None is a request without one.
            api_version: that of the request; the newest by default.
            created_on: when it was made, in place of now.
            expires_on: until when it is valid, in place of six hours later.
            payload: what it says in place of the VM: ``license_type``, ``plan``, ``sku``,
                ``subscription_id``, ``vm_id``.

        Returns:
            A JSON object with ``encoding`` and ``signature``, both strings.

        Raises:
            ImdsUsageError: no such argument or api-version, a nonce that the service
                would not sign, a time without a time zone.

        Source: ``fixtures_data/attested.json`` and ``fixtures_data/chains.json``.
        """
        changed = content.changed(payload, ("api_version", "created_on", "expires_on", "nonce"))
        return self._minted("", nonce, api_version, changed, created_on, expires_on)

    def forge(
        self, forged: Forgery | str, *, nonce: str | None = None, api_version: str | None = None, **payload: Any
    ) -> Document:
        """Return a forgery: a document that is wrong in one respect, and good in all others.

        Args:
            forged: one of ``FORGERIES``, or its name.
            nonce: the nonce of the request, as for ``document``.
            api_version: that of the request, as for ``document``.
            payload: what it says in place of the VM, as for ``document``.

        Raises:
            ImdsUsageError: as for ``document``; or there is no such forgery, or it
                would be no other than the good document of this VM.
        """
        changed = content.changed(payload, ("api_version", "nonce"))
        return self._minted(forgery(forged).name, nonce, api_version, changed)

    def serve(self, forged: Forgery | str | None) -> None:
        """Let ``/metadata/attested/document`` answer with a forgery from here on; with None, honestly again.

        Raises:
            ImdsUsageError: there is no such forgery.
        """
        self._served = "" if forged is None else forgery(forged).name

    def answer(self, nonce: str | None, api_version: str) -> Document:
        """Return what ``/metadata/attested/document`` answers to a request that is in order."""
        return self._minted(self._served, nonce, api_version, {})

    def verify(
        self,
        signature: str | Mapping[str, Any],
        *,
        nonce: str | None = None,
        trust: bytes | None = None,
        now: datetime | None = None,
        cloud: str | None = None,
        api_version: str | None = None,
    ) -> dict[str, Any]:
        """Verify a document, and return its members.

        Issuers' certificates are taken from what the test's server delivers at
        their URLs; nothing is sent.

        Args:
            signature: the signature, or the whole reply.
            nonce: the nonce that was sent; None if none was.
            trust: root certificates in PEM, in place of ``root_pem``.
            now: the time, in place of the service's.
            cloud: the cloud whose domain has to be in the certificate, in place of the VM's.
            api_version: that of the request, which decides the members; the newest by default.

        Raises:
            AttestationError: it is not to be trusted; each reason has a subclass.
            ImdsUsageError: an argument is none of those above.
        """
        from pytest_imds.trust import verifier

        content.check_nonce(nonce)
        when = datetime.fromtimestamp(self._clock.time(), timezone.utc) if now is None else _aware("now", now)
        members = content.members(self._vm, self._version(api_version), nonce, 0)
        expected = verifier.Expected(
            roots=_certificates(self.root_pem if trust is None else trust),
            now=when,
            nonce=nonce,
            domain=domain(self.cloud if cloud is None else cloud),
            members={name: value for name, value in members.items() if name not in ("nonce", "timeStamp")},
            hosts=self.deliveries.hosts(),
        )
        return verifier.verify(signature, expected, self.deliveries.fetch)

    def close(self) -> None:
        """Delete the file of ``root_path``."""
        if "_file" in self.__dict__:
            self._file.unlink(missing_ok=True)
            del self._file

    @cached_property
    def _file(self) -> Path:
        handle, name = tempfile.mkstemp(prefix="pytest-imds-root-", suffix=".pem")
        os.close(handle)
        path = Path(name)
        weakref.finalize(self, path.unlink, missing_ok=True)
        return path

    @cached_property
    def _mint(self) -> Mint:
        from pytest_imds.trust.mint import Mint

        return Mint(self._vm, self._setting, self._authority(), self._address, self.deliveries)

    def _minted(
        self,
        name: str,
        nonce: str | None,
        api_version: str | None,
        changed: Mapping[str, Json],
        created_on: datetime | None = None,
        expires_on: datetime | None = None,
    ) -> Document:
        from pytest_imds.trust.alteration import Wanted

        content.check_nonce(nonce)
        now = int(self._clock.time())
        created = now if created_on is None else _seconds("created_on", created_on)
        expires = None if expires_on is None else _seconds("expires_on", expires_on)
        wanted = Wanted(now, self._version(api_version), nonce, created, expires, changed)
        return self._mint.document(wanted, name)

    def _version(self, asked: str | None) -> str:
        version = self._newest if asked is None else asked
        since = data.read("endpoints")["attested/document"]["since"]
        known = [row["version"] for row in data.read("api_versions")["versions"]]
        attested = [one for one in known if since <= one <= self._newest]
        if not attested:
            raise ImdsUsageError.wrong_value("newest", self._newest, f"{since} or later, to have attested documents")
        if version not in attested:
            raise ImdsUsageError.unknown("api-version of attested documents", version, attested)
        return version

    def _pem(self) -> tuple[bytes, ...]:
        from pytest_imds.trust.authority import pem

        path = self._mint.path(int(self._clock.time()))
        return tuple(pem(self._authority().certificate(path[level:])) for level in range(len(path)))


def _issuer_hosts(setting: Setting) -> tuple[str, ...]:
    return tuple(data.read("attested")["issuer-certificates"]["hosts"]) if setting.aia == MICROSOFT else ()


def _issuers(setting: Setting, address: Callable[[bool], str]) -> list[str]:
    """Return what the URL of an issuer's certificate begins with in a good document."""
    return [f"http://{host}" for host in _issuer_hosts(setting)] or [address(False)]


def _certificates(trust: object) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(trust)  # type: ignore[arg-type]  # it raises TypeError
    except (TypeError, ValueError):
        raise ImdsUsageError.wrong_value("trust", trust, "root certificates in PEM, as bytes") from None


def _aware(argument: str, when: Any) -> datetime:
    if not isinstance(when, datetime) or when.tzinfo is None:
        raise ImdsUsageError.wrong_value(argument, when, "a datetime with a time zone")
    return when


def _seconds(argument: str, when: datetime) -> int:
    return int(_aware(argument, when).timestamp())
