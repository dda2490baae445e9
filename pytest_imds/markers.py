"""Markers, turned into a frozen value; with ``config``, the only room that reads pytest's configuration."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_imds.config import MARKERS, OPTIONS
from pytest_imds.errors import ImdsUsageError

SERVICE_OPTIONS = ("newest", "cloud")


@dataclass(frozen=True)
class Asked:
    """What the options and the markers ask of a test's server."""

    profile: str
    seed: str
    newest: str | None = None
    knobs: Mapping[str, Any] = field(default_factory=dict)


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
