"""The variables of the environment by which clients find the metadata service, or look elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Any

from pytest_imds import data
from pytest_imds.network import addresses

NO_PROXY = ("NO_PROXY", "no_proxy")
HTTP_PROXY = ("HTTP_PROXY", "http_proxy")
LOOPBACK = ("127.0.0.1", "localhost")
ALL = "*"


def of_client(
    environ: Mapping[str, str], url: str | None, names: Collection[str] = (), trap: str | None = None
) -> dict[str, str]:
    """Return ``environ`` as a client needs it to find the server of a test.

    Args:
        environ: what it is now.
        url: where SDKs that take the address from a variable find the server; None where it is at the real address.
        names: hosts that lead to the server.
        trap: the URL of a proxy that clients of the server are not to take; None is none.

    Source: ``fixtures_data/environment.json``.
    """
    rows: Mapping[str, dict[str, Any]] = data.read("environment")
    free = (*addresses.hosts(), *LOOPBACK, *names)
    if trap is not None:
        # Where the server is at the real address, others on the loopback interface are not to be reached by it.
        environ = with_trap(environ, trap, loopback=url is not None)
        free = (*(LOOPBACK if url is None else ()), *names)
    left = {name: value for name, value in environ.items() if name not in rows or name in NO_PROXY}
    if url is not None:
        left.update((name, row["value"].format(url=url)) for name, row in rows.items() if "value" in row)
    return {**left, **_without_proxy(environ, free)}


def with_trap(environ: Mapping[str, str], proxy: str, *, loopback: bool = True) -> dict[str, str]:
    """Return ``environ`` with a proxy for all hosts, those of Azure included.

    Args:
        environ: what it is now.
        proxy: the URL of the proxy.
        loopback: whether it is there for this machine as well.
    """
    caught = (*addresses.hosts(), *(LOOPBACK if loopback else ()))
    left = {
        name: ",".join(entry for entry in _listed(environ[name]) if not _is_for(entry, caught))
        for name in NO_PROXY
        if name in environ
    }
    return {**environ, **left, **dict.fromkeys(HTTP_PROXY, proxy)}


def _listed(hosts: str) -> list[str]:
    return [host.strip() for host in hosts.split(",") if host.strip()]


def _is_for(entry: str, hosts: Collection[str]) -> bool:
    """Return whether an entry of NO_PROXY is for any of ``hosts``: with a port, as a network, or for all."""
    name = entry.lower().lstrip(".")
    if name == ALL or name in hosts or name.rpartition(":")[0] in hosts:
        return True
    with suppress(ValueError):  # a name
        network = ip_network(name, strict=False)
        return any(ip_address(host) in network for host in hosts if host[:1].isdecimal())
    return False


def _without_proxy(environ: Mapping[str, str], hosts: Collection[str]) -> dict[str, str]:
    """Return the variables that name hosts to reach without a proxy; some programs read one of them, some the other."""
    added = {}
    for name in NO_PROXY:
        # One that is there alone counts for those who read either: the new one must not hide it.
        now = next((environ[one] for one in (name, *NO_PROXY) if one in environ), "")
        listed = _listed(now)
        missing = [] if ALL in listed else [host for host in hosts if host not in listed]
        added[name] = ",".join([*listed, *missing])
    return added
