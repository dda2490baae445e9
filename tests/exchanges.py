"""Exchanges as a record has them, made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from pytest_imds.service.message import Request
from pytest_imds.traffic.exchange import Exchange

BEGAN = datetime(2026, 3, 1, tzinfo=timezone.utc)
METADATA = {"metadata": "true"}


def exchange(
    number: int = 1,
    target: str = "/metadata/instance?api-version=2021-02-01",
    at_s: float = 0.0,
    *,
    method: str = "GET",
    headers: Mapping[str, str] = METADATA,
    body: bytes = b"",
    status: int | None = 200,
    **others: Any,
) -> Exchange:
    """Return an exchange; ``others`` are fields of it."""
    path, _, query = target.partition("?")
    return Exchange(
        number=number,
        time=BEGAN + timedelta(seconds=at_s),
        at_s=at_s,
        peer=("127.0.0.1", 40000),
        target=target,
        asked=Request(method, path, query, headers, body),
        status=status,
        **{"duration_s": None if status is None else 0.001, **others},
    )
