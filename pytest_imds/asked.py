"""What a test asks of its servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_imds.faults.fault import Planned


@dataclass(frozen=True)
class Asked:
    """What the options and the markers ask of a test's servers.

    Attributes:
        seed: what VMs are generated from.
        server: what the services are like.
        of_all: knobs of every VM.
        profile: that of the VM of ``imds_server``.
        knobs: those of the VM of ``imds_server``.
        usual_profile: that of any other VM for which none is named.
        faults: what breaks requests to ``imds_server``.
        chaos: the seed of faults at random; None is none of them.
    """

    seed: str
    server: Mapping[str, Any]
    of_all: Mapping[str, Any]
    profile: str
    knobs: Mapping[str, Any]
    usual_profile: str
    faults: tuple[Planned, ...] = ()
    chaos: str | None = None
