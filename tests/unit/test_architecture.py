"""Imports point down, the pure rooms stay pure, and files stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest_imds
from pytest_imds import data

PACKAGE = Path(pytest_imds.__file__).resolve().parent
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

# From top to bottom. A room may import its own modules and what stands below it.
ROOMS = (
    "__init__",
    "plugin",
    "upkeep",
    "chaotic",
    "reporting",
    "failures",
    "markers",
    "config",
    "report",
    "factory",
    "asked",
    "__main__",
    "command",
    "virtual",
    "server",
    "answers",
    "children",
    "outage",
    "problems",
    "audit",
    "traffic",
    "wsgi",
    "shared",
    "interceptors",
    "listener",
    "connection",
    "bodies",
    "door",
    "head",
    "network",
    "faults",
    "service",
    "host",
    "limits",
    "events",
    "trust",
    "vm",
    "clock",
    "tree",
    "guid",
    "patches",
    "data",
    "errors",
)
PURE = ROOMS[ROOMS.index("faults") :]
IMPURE = {"pytest", "_pytest", "werkzeug", "socket", "socketserver", "threading", "faker", "pytest_httpserver"}
MAKES_VMS_WITH_FAKER = {"vm.provider", "vm.builder"}
ASKS_PYTEST = {"plugin", "upkeep", "chaotic", "reporting", "failures", "markers", "config"}
MAX_LINES = 300
EMPTY_NAMES = {"utils", "helpers", "common", "base"}


def imports(module: str, *, at_import: bool = False) -> Iterator[str]:
    """The modules that ``module`` imports when it runs; ``at_import`` leaves out what its functions import."""
    yield from _imports(ast.parse(MODULES[module].read_text(encoding="utf-8")), module, at_import)


def _imports(node: ast.AST, module: str, at_import: bool) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{module} has a relative import"
            yield from (_source(str(child.module), alias.name) for alias in child.names)
        elif isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            for branch in child.orelse:
                yield from _imports(branch, module, at_import)
        elif not (at_import and isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))):
            yield from _imports(child, module, at_import)


def _source(module: str, name: str) -> str:
    """``from pytest_imds import data`` imports the module ``data``, not a name of the package."""
    return f"{module}.{name}" if f"{module}.{name}".removeprefix("pytest_imds.") in MODULES else module


def room(module: str) -> str:
    return module.split(".", 1)[0]


def test_every_module_is_in_a_room() -> None:
    assert {room(module) for module in MODULES} <= set(ROOMS)


def test_imports_point_down() -> None:
    wrong = []
    for module in MODULES:
        # What __init__ hands out is found when it is used.
        ours = [name for name in imports(module, at_import=module == "__init__") if name.split(".")[0] == "pytest_imds"]
        below = ROOMS[ROOMS.index(room(module)) :]
        wrong += [(module, name) for name in ours if room(name.removeprefix("pytest_imds.")) not in below]

    assert wrong == []


def test_imports_are_found() -> None:
    """What the tests below rely on: a function's imports count, those for type checkers do not."""
    assert "pytest_imds.factory" in set(imports("plugin"))
    assert "pytest_imds.factory" not in set(imports("plugin", at_import=True))
    assert "pytest_imds.listener" not in set(imports("connection"))
    assert {"pytest_imds.data", "json"} <= set(imports("data")) | set(imports("host")) | set(imports("vm.model"))


def test_the_rooms_below_the_connection_know_no_pytest_no_sockets_and_no_threads() -> None:
    wrong = []
    for module in (module for module in MODULES if room(module) in PURE):
        allowed = {"faker"} if module in MAKES_VMS_WITH_FAKER else set()
        wrong += [(module, name) for name in imports(module) if name.split(".")[0] in IMPURE - allowed]

    assert wrong == []


def test_pytest_is_imported_by_the_plugin_and_its_configuration_alone() -> None:
    ask = {module for module in MODULES if "pytest" in {name.split(".")[0] for name in imports(module)}}

    assert ask == ASKS_PYTEST


def test_a_module_stays_under_300_lines() -> None:
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}

    assert {module: count for module, count in lines.items() if count >= MAX_LINES} == {}


def test_a_module_is_named_after_its_subject() -> None:
    names = {module: {name.strip("_") for name in module.split(".")} for module in MODULES}

    assert [module for module in MODULES if names[module] & EMPTY_NAMES] == []


def test_the_data_is_data_alone() -> None:
    """An editable install stops at a module in a folder that the wheel renames."""
    assert list(data.folder().rglob("*.py")) == []
