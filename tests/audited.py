"""What clients have asked, for the audit: exchanges one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pytest_imds.traffic.exchange import Exchange
from tests.exchanges import METADATA
from tests.exchanges import exchange as made

INSTANCE = "/metadata/instance?api-version=2021-02-01"
TOKEN = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net"
DOCUMENT = "/metadata/attested/document?api-version=2021-02-01"


def exchange(
    target: str = INSTANCE,
    status: int | None = 200,
    at_s: float = 0.0,
    *,
    number: int = 1,
    headers: Mapping[str, str] = METADATA,
    at_once: int = 1,
    duration_s: float | None = 0.0,
    **others: Any,
) -> Exchange:
    """A request and its reply, which leaves after ``duration_s`` if there is one."""
    took_s = None if status is None else duration_s
    one = made(number, target, at_s, headers=headers, status=status, duration_s=took_s, **others)
    return replace(one, asked=replace(one.asked, at_once=at_once))


def asked(*moments: float, **of_all: Any) -> list[Exchange]:
    """The same request at each of these seconds."""
    return [exchange(at_s=at_s, number=number, **of_all) for number, at_s in enumerate(moments, start=1)]


def in_order(*exchanges: Exchange) -> list[Exchange]:
    """These exchanges, numbered from 1."""
    return [replace(one, number=number) for number, one in enumerate(exchanges, start=1)]
