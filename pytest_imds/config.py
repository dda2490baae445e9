"""Options and markers, turned into frozen values. The only room that reads pytest's configuration."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_imds.errors import ImdsUsageError

# One line a marker, as `pytest --markers` shows it: the signature, then what it does.
MARKERS = {
    "imds_vm": 'imds_vm(profile="linux", **knobs): the VM that imds_server serves: its profile and what is different'
    " (location, tags, vm_size, scale_set, data_disks, nics, zone, user_data ...)",
    "imds": "imds(*, newest=None, cloud=None): the service that answers: the newest api-version it has, the cloud it"
    " runs in",
}
SERVICE_OPTIONS = ("newest", "cloud")


@dataclass(frozen=True)
class Options:
    """What the command line and the ini file say."""

    seed: str
    profile: str


@dataclass(frozen=True)
class Asked:
    """What the options and the markers ask of a test's server."""

    profile: str
    seed: str
    newest: str | None = None
    knobs: Mapping[str, Any] = field(default_factory=dict)


OPTIONS = pytest.StashKey[Options]()


def add_options(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("imds", "Azure Instance Metadata Service (pytest-imds)")
    group.addoption(
        "--imds-seed",
        default=None,
        metavar="SEED",
        help="generate the VMs of this seed; a test has the same VM as long as its id and the seed are the same"
        " (default: the ini option imds_seed)",
    )
    parser.addini("imds_seed", "the seed that VMs are generated from", default="0")
    parser.addini("imds_profile", "the profile of a VM whose test names none", default="linux")


def read_options(config: pytest.Config) -> Options:
    """Read the options, once, and declare the markers."""
    for line in MARKERS.values():
        config.addinivalue_line("markers", line)
    seed = config.getoption("--imds-seed")
    options = Options(
        seed=config.getini("imds_seed") if seed is None else seed,
        profile=config.getini("imds_profile"),
    )
    config.stash[OPTIONS] = options
    return options


def asked(item: pytest.Item) -> Asked:
    """Merge the options and the markers of ``item``; the nearer marker wins.

    Raises:
        ImdsUsageError: a marker has an argument that it does not take.
    """
    options = item.config.stash[OPTIONS]
    vm = _merged(item, "imds_vm", positional=("profile",))
    service = _merged(item, "imds", positional=())
    for name in service:
        if name not in SERVICE_OPTIONS:
            raise ImdsUsageError.unknown("option of the marker imds", name, SERVICE_OPTIONS)
    cloud = service.pop("cloud", None)
    profile = vm.pop("profile", options.profile)
    return Asked(
        profile=profile,
        seed=f"{options.seed}:{item.nodeid}",
        newest=service.get("newest"),
        knobs=vm if cloud is None else {"cloud": cloud, **vm},
    )


def _merged(item: pytest.Item, name: str, positional: tuple[str, ...]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for mark in item.iter_markers(name):
        if len(mark.args) > len(positional):
            raise ImdsUsageError.wrong_value(f"the marker {name}", mark.args, f"right: {MARKERS[name]}")
        merged = {**dict(zip(positional, mark.args, strict=False)), **mark.kwargs, **merged}
    return merged


def where(item: pytest.Item) -> str:
    """Say where in the user's file the marker stands that is nearest to ``item``: ``path:line``."""
    path, line, _ = item.reportinfo()
    marker = next(_marker_lines(item), None)
    return f"{path}:{marker or (line or 0) + 1}"


def _marker_lines(item: pytest.Item) -> Iterator[int]:
    if not isinstance(item, pytest.Function):
        return
    module = ast.parse(Path(str(item.path)).read_text(encoding="utf-8"))
    first = inspect.unwrap(item.function).__code__.co_firstlineno
    owner = getattr(item.cls, "__name__", None)
    # Nearest first: the function's decorators, its class's, the module's pytestmark.
    nodes: list[ast.AST] = []
    for node in ast.walk(module):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and _first_line(node) == first:
            nodes[:0] = node.decorator_list
        elif isinstance(node, ast.ClassDef) and node.name == owner:
            nodes += node.decorator_list
    nodes += [statement for statement in module.body if isinstance(statement, ast.Assign)]
    for node in nodes:
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute) and part.attr in MARKERS:
                yield part.lineno


def _first_line(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
