"""How what is signed in a test is signed: which chain, which digest OID, in whose name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_imds import data
from pytest_imds.errors import ImdsUsageError

# The modes of the leaf's CA Issuers; some are what a forgery does to it.
LOOPBACK, DUAL, MICROSOFT = "loopback", "dual", "microsoft"
AIA_MODES: Mapping[str, str | None] = {
    LOOPBACK: None,
    DUAL: None,
    MICROSOFT: None,
    "dead": "aia-not-found",
    "none": "no-aia",
    "html": "aia-html",
    "wrong": "aia-wrong",
}


@dataclass(frozen=True)
class Setting:
    """How documents are signed.

    Attributes:
        chain: a key of ``fixtures_data/chains.json``.
        aia: one of ``AIA_MODES``; empty is what the chain has.
        digest_oid: ``sha256WithRSAEncryption``, which the service sends, or ``sha256``.
    """

    chain: str = "2024"
    aia: str = ""
    digest_oid: str = "sha256WithRSAEncryption"

    def __post_init__(self) -> None:
        """Refuse what there is not, and fill in what the chain says.

        Raises:
            ImdsUsageError: no such chain, mode or digest OID.
        """
        _check("chain", self.chain, data.read("chains"))
        if self.aia == "":
            object.__setattr__(self, "aia", DUAL if self.row["ca_issuers"] == 2 else LOOPBACK)
        _check("aia mode", self.aia, AIA_MODES)
        _check("digest_oid", self.digest_oid, data.read("attested")["digest-oid"]["known"])

    @property
    def row(self) -> dict[str, Any]:
        """The row of the chain in ``fixtures_data/chains.json``."""
        row: dict[str, Any] = data.read("chains")[self.chain]
        return row

    @property
    def ca_issuers(self) -> int:
        """How many URLs a leaf names for its issuer's certificate."""
        count: int = {LOOPBACK: 1, DUAL: 2}.get(self.aia, self.row["ca_issuers"])
        return count

    @property
    def digest(self) -> str:
        """The digest OID, dotted."""
        return str(data.read("attested")["digest-oid"]["known"][self.digest_oid])


def domain(cloud: str) -> str:
    """Return the domain of the metadata service of a cloud.

    Source: ``domains`` in ``fixtures_data/attested.json``.

    Raises:
        ImdsUsageError: there is no such cloud.
    """
    domains = data.read("attested")["domains"]["by_cloud"]
    _check("cloud", cloud, domains)
    return str(domains[cloud])


def issuer(cloud: str, tenant_id: str) -> str:
    """Return the issuer of the tokens of a tenant in a cloud.

    Source: ``issuers`` in ``fixtures_data/identity.json``.

    Raises:
        ImdsUsageError: there is no such cloud.
    """
    issuers = data.read("identity")["issuers"]["by_cloud"]
    _check("cloud", cloud, issuers)
    return f"{issuers[cloud]}{tenant_id}/"


def _check(what: str, received: object, known: Mapping[str, object]) -> None:
    if not isinstance(received, str) or received not in known:
        raise ImdsUsageError.unknown(what, received, known)
