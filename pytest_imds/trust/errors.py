"""Why an attested document is not to be trusted: a class for each reason."""

from __future__ import annotations

from pytest_imds.errors import ImdsError


class AttestationError(ImdsError):
    """An attested document is not to be trusted; each reason has a class of its own.

    ``check`` is what a verifier must check to see it, as ``Forgery.must_check`` says it.
    """

    check = ""

    @classmethod
    def found(cls, found: str, expected: str) -> AttestationError:
        """Say what the document has, and what it should have."""
        return cls(f"{cls.check}: found {found}; expected {expected}")


class AttestationEncodingError(AttestationError):
    """``encoding`` is not pkcs7, or ``signature`` is not standard base64 on one line."""

    check = "encoding"


class AttestationStructureError(AttestationError):
    """The document cannot be read."""

    check = "structure"


class AttestationTrailingDataError(AttestationError):
    """Something follows the PKCS#7 document."""

    check = "trailing"


class AttestationSignersError(AttestationError):
    """There is not exactly one signer."""

    check = "signers"


class AttestationSignerError(AttestationError):
    """The document has other certificates than the signer's."""

    check = "signer"


class AttestationDigestError(AttestationError):
    """The digest algorithm is not SHA-256."""

    check = "digest"


class AttestationSignatureError(AttestationError):
    """The signature is not one over the content by the signer's key."""

    check = "signature"


class AttestationNameError(AttestationError):
    """The signer's certificate has other names than the cloud's metadata service."""

    check = "name"


class AttestationEndEntityError(AttestationError):
    """The signer's certificate is a certificate authority's."""

    check = "end-entity"


class AttestationPurposeError(AttestationError):
    """The signer's certificate is not for server authentication."""

    check = "purpose"


class AttestationHostError(AttestationError):
    """An issuer's certificate is to be downloaded from a host that is not expected."""

    check = "aia-host"


class AttestationIntermediateError(AttestationError):
    """An issuer's certificate cannot be had."""

    check = "intermediate"


class AttestationSizeError(AttestationError):
    """An issuer's certificate is too long."""

    check = "aia-size"


class AttestationChainError(AttestationError):
    """The chain does not lead to a trusted root."""

    check = "chain"


class AttestationAuthorityError(AttestationError):
    """An issuer is no certificate authority, or none so deep down."""

    check = "ca"


class AttestationValidityError(AttestationError):
    """A certificate of the chain is not valid at the time."""

    check = "time"


class AttestationMembersError(AttestationError):
    """A member of the content is there twice."""

    check = "members"


class AttestationTimeError(AttestationError):
    """The document is not valid at the time."""

    check = "document-time"


class AttestationNonceError(AttestationError):
    """The nonce is not the one that was sent."""

    check = "nonce"


class AttestationVmError(AttestationError):
    """The document is about another VM."""

    check = "vm"
