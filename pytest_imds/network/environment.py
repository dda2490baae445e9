"""The variables of the environment by which clients find the metadata service, or look elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pytest_imds import data
from pytest_imds.network import addresses

NO_PROXY = ("NO_PROXY", "no_proxy")
LOOPBACK = ("127.0.0.1", "localhost")
ALL = "*"


def of_client(environ: Mapping[str, str], url: str | None, names: Collection[str] = ()) -> dict[str, str]:
    """Return ``environ`` as a client needs it to find the server of a test.

    Args:
        environ: what it is now.
        url: where SDKs that take the address from a variable find the server; None where it is at the real address.
        names: hosts that lead to the server.

    Source: ``fixtures_data/environment.json``.
    """
    rows: Mapping[str, dict[str, Any]] = data.read("environment")
    left = {name: value for name, value in environ.items() if name not in rows or name in NO_PROXY}
    if url is not None:
        left.update((name, row["value"].format(url=url)) for name, row in rows.items() if "value" in row)
    return {**left, **_without_proxy(environ, (*addresses.hosts(), *LOOPBACK, *names))}


def _without_proxy(environ: Mapping[str, str], hosts: Collection[str]) -> dict[str, str]:
    """Return the variables that name hosts to reach without a proxy; some programs read one of them, some the other."""
    added = {}
    for name in NO_PROXY:
        # One that is there alone counts for those who read either: the new one must not hide it.
        now = next((environ[one] for one in (name, *NO_PROXY) if one in environ), "")
        listed = [host.strip() for host in now.split(",") if host.strip()]
        missing = [] if ALL in listed else [host for host in hosts if host not in listed]
        added[name] = ",".join([*listed, *missing])
    return added
