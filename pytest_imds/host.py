"""The state of one simulated Azure host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from pytest_imds.clock import Clock
from pytest_imds.events.scheduled import ScheduledEvents
from pytest_imds.limits import Limits
from pytest_imds.trust.attestation import Attestation
from pytest_imds.trust.deliveries import Delivery
from pytest_imds.trust.issuer import TokenIssuer
from pytest_imds.vm.model import Vm

if TYPE_CHECKING:
    from pytest_imds.trust.authority import Authority


@dataclass
class Host:
    """What the service answers from.

    Attributes:
        vm: the VM on it.
        attestation: the documents that prove which VM it is.
        identity: the tokens of its managed identities.
        events: its coming maintenance.
        clock: its time.
        random: its chance.
        authority: returns the root of trust.
        newest: the newest api-version that the service has; None is all of them.
        identity_v2: whether the service has IMDSv2.
        limits: how many requests it answers; None is any number.
    """

    vm: Vm
    attestation: Attestation
    identity: TokenIssuer
    events: ScheduledEvents
    clock: Clock
    random: Random
    authority: Callable[[], Authority]
    newest: str | None = None
    identity_v2: bool = False
    limits: Limits | None = None

    def has(self, option: str) -> bool:
        """Return whether what there is only with ``option`` is there; an empty one always is."""
        return not option or bool(getattr(self, option))

    def published(self, path: str) -> Delivery | None:
        """Return what is to be had at a path that is not IMDS's, or None."""
        return self.attestation.deliveries.at(path) or self.identity.published(path)
