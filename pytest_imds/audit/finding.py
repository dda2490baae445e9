"""What is found where a client breaks a rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pytest_imds.traffic.exchange import Exchange


class Breach(NamedTuple):
    """Requests that break a rule together, and what is wrong with them."""

    requests: tuple[Exchange, ...]
    told: str


@dataclass(frozen=True)
class Finding:
    """A rule that a client has broken.

    Attributes:
        rule: its name, such as ``metadata-header``.
        severity: ``error`` where Azure refuses the request, ``warning`` where it works and is advised against.
        requests: those that break it.
        told: what is wrong with them.
        asks: what the rule asks.
        change: what to change in the client.
        source: where the rule is from.
        server: the URL of the server that was asked.
    """

    rule: str
    severity: str
    requests: tuple[Exchange, ...]
    told: str
    asks: str
    change: str
    source: str
    server: str = ""
