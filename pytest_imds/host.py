"""The state of one simulated Azure host: the VM on it, its documents, its time, its chance, its service's age."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from pytest_imds.clock import Clock
from pytest_imds.trust.attestation import Attestation
from pytest_imds.vm.model import Vm


@dataclass
class Host:
    """What the service answers from.

    ``newest`` is the newest api-version that the service has; None is all of them.
    """

    vm: Vm
    attestation: Attestation
    newest: str | None = None
    clock: Clock = field(default_factory=Clock)
    random: Random = field(default_factory=Random)
