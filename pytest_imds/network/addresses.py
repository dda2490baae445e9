"""The addresses where a VM finds the metadata service."""

from __future__ import annotations

import _socket
from contextlib import suppress
from ipaddress import IPv6Address
from typing import Any

from pytest_imds import data

Address = tuple[str, int]


def known() -> dict[str, Any]:
    """Return the addresses of Azure's host, and the port of the metadata service.

    Source: ``addresses`` in ``fixtures_data/behaviour.json``.
    """
    row: dict[str, Any] = data.read("behaviour")["addresses"]
    return row


def hosts() -> tuple[str, str]:
    """Return the address of IMDS, and that of the host."""
    row = known()
    return row["imds"], row["host"]


def of_azure(host: object) -> str | None:
    """Return which of the addresses ``host`` is, however it is written; None if it is another or a name.

    ``2852039166``, ``0xa9fea9fe`` and ``::ffff:169.254.169.254`` are 169.254.169.254 too.
    """
    text = bytes(host).decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host
    if not isinstance(text, str):
        return None
    with suppress(ValueError, OSError):  # a name
        ipv4 = IPv6Address(text).ipv4_mapped if ":" in text else _socket.inet_ntoa(_socket.inet_aton(text))
        if str(ipv4) in hosts():
            return str(ipv4)
    return None


def is_http(port: object) -> bool:
    """Return whether ``port`` is that of the metadata service, as a number or by its name."""
    text = bytes(port).decode("ascii", "replace") if isinstance(port, (bytes, bytearray)) else port
    return text in ("http", known()["port"], str(known()["port"]))
