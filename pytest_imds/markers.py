"""Markers, turned into frozen values; with ``config``, the only room that reads pytest's configuration."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from pytest_imds.asked import Asked
from pytest_imds.clock import Clock
from pytest_imds.config import MARKERS, OPTIONS, node_id
from pytest_imds.errors import ImdsUsageError
from pytest_imds.faults.fault import Planned, planned
from pytest_imds.faults.faults import Faults
from pytest_imds.trust.forgeries import Forgery, chosen
from pytest_imds.vm import profiles

# What the marker imds takes: some describe the VM, the others go to the server as they are.
VM_OPTIONS, SERVER_OPTIONS = ("cloud",), ("newest", "chain", "aia", "digest_oid", "identity_v2", "rate_limit")
# What it takes for the test itself.
FLAGS, AUDIT_OPTIONS = ("redirect", "chaos"), ("audit", "ignore")
IMDS_OPTIONS = (*VM_OPTIONS, *SERVER_OPTIONS, *FLAGS, *AUDIT_OPTIONS)
ALL_RULES = "all"
FORGERIES_OPTIONS = ("only", "skip")


def asked(item: pytest.Item) -> Asked:
    """Merge the options and the markers of ``item``; the nearer marker wins.

    Raises:
        ImdsUsageError: a marker has an argument that it does not take.
    """
    options = item.config.stash[OPTIONS]
    vm = _merged(item, "imds_vm", positional=("profile",))
    service = _merged(item, "imds", positional=())
    for name in service:
        if name not in IMDS_OPTIONS:
            raise ImdsUsageError.unknown("option of the marker imds", name, IMDS_OPTIONS)
    given = {name: value for name, value in service.items() if value is not None}
    profile = vm.pop("profile", options.profile)
    of_all = {name: given[name] for name in VM_OPTIONS if name in given}
    knobs = {**of_all, **vm}
    profiles.resolve(profile, knobs)
    for name in FLAGS:
        if not isinstance(given.get(name, True), bool):
            raise ImdsUsageError.wrong_value(name, given[name], "True or False")
    if options.audit or {*AUDIT_OPTIONS} & given.keys():
        audited(item)
    usual = {"rate_limit": True} if options.rate_limit else {}
    return Asked(
        seed=f"{options.seed}:{node_id(item)}",
        server={**usual, **{name: given[name] for name in SERVER_OPTIONS if name in given}},
        of_all=of_all,
        profile=profile,
        knobs=knobs,
        usual_profile=options.profile,
        faults=tuple(_faults(item)),
        chaos=f"{options.chaos}:{node_id(item)}" if given.get("chaos", True) and options.chaos is not None else None,
    )


def audited(item: pytest.Item) -> dict[str, object]:
    """Return which rules for callers of IMDS the clients of ``item`` have to keep, as ``Audit`` takes it.

    The nearer marker wins, and any marker over the ini option.

    Raises:
        ImdsUsageError: there is no such rule.
    """
    from pytest_imds.audit.audit import scope

    of_all = item.config.stash[OPTIONS].audit
    usual: object = True if of_all in ((), (ALL_RULES,)) else of_all
    merged = _merged(item, "imds", positional=())
    given = {name: merged[name] for name in AUDIT_OPTIONS if merged.get(name) is not None}
    audit = {"audit": usual, **given}
    scope(**audit)
    return audit


def _faults(item: pytest.Item) -> Iterator[Planned]:
    """Yield what the markers ``imds_fault`` of ``item`` plan, that of the nearest first."""
    for mark in item.iter_markers("imds_fault"):
        try:
            if not mark.args or not isinstance(mark.args[0], str):
                raise ImdsUsageError.wrong_value("the marker imds_fault", mark.args, MARKERS["imds_fault"])
            fault = planned(*mark.args, **mark.kwargs)
            # Once for nothing: a mistake shall not be found when half of it is planned.
            fault.plan(Faults(Clock(), "", nullcontext(), lambda: None))
        except ImdsUsageError as error:
            error.marker = mark
            raise
        yield fault


def forgeries(item: pytest.Item) -> list[Forgery]:
    """Return the forgeries that the markers of ``item`` ask for; the nearer marker wins.

    Raises:
        ImdsUsageError: a marker has an argument that it does not take, or names what there is not.
    """
    asked = _merged(item, "imds_forgeries", positional=())
    for name in asked:
        if name not in FORGERIES_OPTIONS:
            raise ImdsUsageError.unknown("argument of the marker imds_forgeries", name, FORGERIES_OPTIONS)
    return chosen(**asked)


def check_namespace(item: pytest.Item) -> None:
    """Refuse a marker ``imds_namespace`` with arguments.

    Raises:
        ImdsUsageError: it has one.
    """
    for mark in item.iter_markers("imds_namespace"):
        if given := (*mark.args, *mark.kwargs):
            raise ImdsUsageError.wrong_value("the marker imds_namespace", given, MARKERS["imds_namespace"])


def _merged(item: pytest.Item, name: str, positional: tuple[str, ...]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for mark in item.iter_markers(name):
        given = dict(zip(positional, mark.args, strict=False))
        if len(mark.args) > len(positional) or given.keys() & mark.kwargs.keys():
            raise ImdsUsageError.wrong_value(f"the marker {name}", (*mark.args, *mark.kwargs), MARKERS[name])
        merged = {**given, **mark.kwargs, **merged}
    return merged


def where(item: pytest.Item, error: ImdsUsageError) -> str:
    """Say where in the user's file the marker stands that is to blame: ``path:line``.

    It is the nearest one that has what the error received, or else the nearest
    one, or else the test itself.
    """
    path, line, _ = item.reportinfo()
    marks = list(_marks(item))
    if isinstance(error.marker, pytest.Mark):
        marks = [mark for mark in marks if _is(mark, error.marker)]
    blamed = [mark for mark in marks if error.received in _words(mark)] or marks
    return f"{path}:{blamed[0].lineno if blamed else (line or 0) + 1}"


def _marks(item: pytest.Item) -> Iterator[ast.Call]:
    """Find our markers in the file of ``item``, those of the function first, those of the module last."""
    line = item.reportinfo()[1] or 0
    module = ast.parse(Path(item.path).read_text(encoding="utf-8"))
    around = [
        node
        for node in ast.walk(module)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        and _first_line(node) <= line + 1 <= (node.end_lineno or 0)
    ]
    for node in (*sorted(around, key=_first_line, reverse=True), module):
        own: list[ast.AST] = [] if isinstance(node, ast.Module) else [*node.decorator_list]
        own += [statement for statement in node.body if isinstance(statement, (ast.Assign, ast.AnnAssign))]
        for part in (part for mine in own for part in ast.walk(mine)):
            if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in MARKERS:
                # A call that spans lines begins where its module's name stands: the marker's name is what to show.
                part.lineno = part.func.end_lineno or part.lineno
                yield part


def _words(mark: ast.expr) -> list[object]:
    """Return the names and the values that a marker's arguments have."""
    parts = list(ast.walk(mark))
    names = [part.arg for part in parts if isinstance(part, ast.keyword)]
    return [*names, *(part.value for part in parts if isinstance(part, ast.Constant))]


def _is(call: ast.Call, mark: pytest.Mark) -> bool:
    """Return whether ``call`` may have made ``mark``: as many arguments, and those that are written out agree."""
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if (call.func.attr if isinstance(call.func, ast.Attribute) else "") != mark.name or len(call.args) != len(
        mark.args
    ):
        return False
    pairs = [*zip(call.args, mark.args, strict=True), *((named[name], mark.kwargs.get(name)) for name in named if name)]
    return set(named) - {None} <= set(mark.kwargs) and all(_may_be(written, value) for written, value in pairs)


def _may_be(written: ast.expr, value: object) -> bool:
    try:
        return bool(ast.literal_eval(written) == value)
    except ValueError:
        return True


def _first_line(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
