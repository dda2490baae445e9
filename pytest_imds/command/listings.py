"""``profiles``, ``faults``, ``forgeries``, ``versions``: what there is. Each imports what the others do without."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from pytest_imds import data
from pytest_imds.command.output import Output

# Longer names stick out, so that the others stay near to what is said of them.
NAME_COLUMNS = 28


class Row(NamedTuple):
    """One of what there is: its name, how it is shown, a line about it, and what a program may want to know."""

    name: str
    shown: str
    about: str
    more: Mapping[str, Any]


def show(asked: Namespace, output: Output) -> int:
    """List what the subcommand is about.

    Returns:
        The exit status.
    """
    rows = list(ROWS[asked.subcommand]())
    if asked.json:
        output.json([{"name": row.name, "about": row.about, **row.more} for row in rows])
        return 0
    columns = min(NAME_COLUMNS, max(len(row.shown) for row in rows))
    for row in rows:
        padding = " " * (columns - len(row.shown))
        output.line(f"{output.painted(row.shown, 'bold')}{padding}  {row.about}".rstrip())
    return 0


def _profiles() -> Iterator[Row]:
    for name, row in data.read("profiles")["profiles"].items():
        yield Row(name, name, row["about"], {"knobs": row["knobs"]})


def _faults() -> Iterator[Row]:
    from pytest_imds.faults.fault import about, own, parameters
    from pytest_imds.faults.kinds import KINDS

    for name in KINDS:
        yield Row(name, f"{name}({own(name)})", about(name), {"parameters": parameters(name)})


def _forgeries() -> Iterator[Row]:
    from pytest_imds.trust.forgeries import FORGERIES

    for name, forgery in FORGERIES.items():
        yield Row(name, name, forgery.why, {"must_check": forgery.must_check, "reference": forgery.reference})


def _versions() -> Iterator[Row]:
    from pytest_imds.service.versions import known
    from pytest_imds.vm.projection import brought

    for version in known():
        yield Row(version, version, ", ".join(brought(version)), {"brought": brought(version)})


ROWS: Mapping[str, Callable[[], Iterator[Row]]] = {
    "profiles": _profiles,
    "faults": _faults,
    "forgeries": _forgeries,
    "versions": _versions,
}
