"""An Azure VM for every test: the Instance Metadata Service as a pytest plugin and as a test double.

Everything that may be imported is here. The names resolve when they are used,
so that loading the plugin stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_imds.audit.audit import Audit
    from pytest_imds.audit.finding import Finding
    from pytest_imds.clock import Clock
    from pytest_imds.errors import (
        ImdsAuditError,
        ImdsAuditWarning,
        ImdsError,
        ImdsGuardError,
        ImdsNamespaceError,
        ImdsPortError,
        ImdsServerError,
        ImdsUsageError,
    )
    from pytest_imds.events.fleet import Fleet
    from pytest_imds.events.scheduled import Event, ScheduledEvents
    from pytest_imds.factory import ServerFactory
    from pytest_imds.faults.fault import Fault
    from pytest_imds.faults.faults import Faults, Fired
    from pytest_imds.server import ImdsServer
    from pytest_imds.traffic.exchange import Exchange
    from pytest_imds.trust.attestation import Attestation
    from pytest_imds.trust.document import Document
    from pytest_imds.trust.errors import (
        AttestationAuthorityError,
        AttestationChainError,
        AttestationDigestError,
        AttestationEncodingError,
        AttestationEndEntityError,
        AttestationError,
        AttestationHostError,
        AttestationIntermediateError,
        AttestationMembersError,
        AttestationNameError,
        AttestationNonceError,
        AttestationPurposeError,
        AttestationSignatureError,
        AttestationSignerError,
        AttestationSignersError,
        AttestationSizeError,
        AttestationStructureError,
        AttestationTimeError,
        AttestationTrailingDataError,
        AttestationValidityError,
        AttestationVmError,
    )
    from pytest_imds.trust.forgeries import CHECKS, FORGERIES, Forgery
    from pytest_imds.trust.issuer import TokenIssuer
    from pytest_imds.vm.identity import Identity
    from pytest_imds.vm.load_balancer import LoadBalancer
    from pytest_imds.vm.model import Vm
    from pytest_imds.vm.provider import ImdsProvider

    __version__: str

__all__ = [
    "CHECKS",
    "FORGERIES",
    "Attestation",
    "AttestationAuthorityError",
    "AttestationChainError",
    "AttestationDigestError",
    "AttestationEncodingError",
    "AttestationEndEntityError",
    "AttestationError",
    "AttestationHostError",
    "AttestationIntermediateError",
    "AttestationMembersError",
    "AttestationNameError",
    "AttestationNonceError",
    "AttestationPurposeError",
    "AttestationSignatureError",
    "AttestationSignerError",
    "AttestationSignersError",
    "AttestationSizeError",
    "AttestationStructureError",
    "AttestationTimeError",
    "AttestationTrailingDataError",
    "AttestationValidityError",
    "AttestationVmError",
    "Audit",
    "Clock",
    "Document",
    "Event",
    "Exchange",
    "Fault",
    "Faults",
    "Finding",
    "Fired",
    "Fleet",
    "Forgery",
    "Identity",
    "ImdsAuditError",
    "ImdsAuditWarning",
    "ImdsError",
    "ImdsGuardError",
    "ImdsNamespaceError",
    "ImdsPortError",
    "ImdsProvider",
    "ImdsServer",
    "ImdsServerError",
    "ImdsUsageError",
    "LoadBalancer",
    "ScheduledEvents",
    "ServerFactory",
    "TokenIssuer",
    "Vm",
    "__version__",
]

_ROOMS = {
    "Attestation": "trust.attestation",
    "AttestationAuthorityError": "trust.errors",
    "AttestationChainError": "trust.errors",
    "AttestationDigestError": "trust.errors",
    "AttestationEncodingError": "trust.errors",
    "AttestationEndEntityError": "trust.errors",
    "AttestationError": "trust.errors",
    "AttestationHostError": "trust.errors",
    "AttestationIntermediateError": "trust.errors",
    "AttestationMembersError": "trust.errors",
    "AttestationNameError": "trust.errors",
    "AttestationNonceError": "trust.errors",
    "AttestationPurposeError": "trust.errors",
    "AttestationSignatureError": "trust.errors",
    "AttestationSignerError": "trust.errors",
    "AttestationSignersError": "trust.errors",
    "AttestationSizeError": "trust.errors",
    "AttestationStructureError": "trust.errors",
    "AttestationTimeError": "trust.errors",
    "AttestationTrailingDataError": "trust.errors",
    "AttestationValidityError": "trust.errors",
    "AttestationVmError": "trust.errors",
    "Audit": "audit.audit",
    "CHECKS": "trust.forgeries",
    "Clock": "clock",
    "Document": "trust.document",
    "Event": "events.scheduled",
    "Exchange": "traffic.exchange",
    "FORGERIES": "trust.forgeries",
    "Fault": "faults.fault",
    "Faults": "faults.faults",
    "Finding": "audit.finding",
    "Fired": "faults.faults",
    "Fleet": "events.fleet",
    "Forgery": "trust.forgeries",
    "Identity": "vm.identity",
    "ImdsAuditError": "errors",
    "ImdsAuditWarning": "errors",
    "ImdsError": "errors",
    "ImdsGuardError": "errors",
    "ImdsNamespaceError": "errors",
    "ImdsPortError": "errors",
    "ImdsProvider": "vm.provider",
    "ImdsServer": "server",
    "ImdsServerError": "errors",
    "ImdsUsageError": "errors",
    "LoadBalancer": "vm.load_balancer",
    "ScheduledEvents": "events.scheduled",
    "ServerFactory": "factory",
    "TokenIssuer": "trust.issuer",
    "Vm": "vm.model",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("pytest-imds")
    if name in _ROOMS:
        return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
