"""Libraries that take requests before they get to a socket, and how to let those to IMDS pass."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from traceback import walk_tb
from typing import Any

from pytest_imds import data


def known() -> Mapping[str, dict[str, Any]]:
    """Return the libraries, by the names of their modules.

    Source: ``fixtures_data/interceptors.json``.
    """
    rows: Mapping[str, dict[str, Any]] = data.read("interceptors")
    return rows


def hints(error: BaseException, test: object) -> Iterator[str]:
    """Yield what to do about each library that had a part in ``error``, which the function ``test`` has raised."""
    met = {module for one in _chain(error) for module in _modules(one, test)}
    for name, row in known().items():
        if name in met:
            yield f"{row['library']} has answered in the place of IMDS. {_advice(row)}"


def active(test: object) -> Iterator[str]:
    """Yield what to do about each library that takes requests now, or that the function ``test`` is wrapped by."""
    wrappers = {_package(layer) for layer in _layers(test)}
    for name, row in known().items():
        if "takes" in row and (_package(_found(row["takes"])) == name or name in wrappers):
            yield f"{row['library']} takes requests before they get to a socket. {_advice(row)}"


def _advice(row: Mapping[str, Any]) -> str:
    return f"To let those to IMDS pass: {row['passes']}"


def _found(point: str) -> object:
    """Return what stands at a point, such as ``socket.socket``; None if its module is not loaded."""
    module, found = "", None
    for name in point.split("."):
        module = f"{module}.{name}".lstrip(".")
        found = sys.modules[module] if module in sys.modules else getattr(found, name, None)
    return found


def _layers(test: object) -> Iterator[object]:
    """Yield a function, the function that it wraps, and so on."""
    while test is not None:
        yield test
        test = getattr(test, "__wrapped__", None)


def _package(made: object) -> str:
    """Return the package whose code a function or class is."""
    module = getattr(made, "__globals__", {}).get("__name__") or getattr(made, "__module__", None) or ""
    return str(module).partition(".")[0]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that led to it."""
    seen: list[BaseException] = []
    while error is not None and not any(error is one for one in seen):
        yield error
        seen.append(error)
        error = error.__cause__ or error.__context__


def _modules(error: BaseException, test: object) -> Iterator[str]:
    """Yield the packages that an error came through, below the function of the test if it came through that."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    of_test = {getattr(layer, "__code__", None) for layer in [*_layers(test)][-1:]}
    below = max((place for place, frame in enumerate(frames) if frame.f_code in of_test), default=-1)
    for frame in frames[below + 1 :]:
        yield str(frame.f_globals.get("__name__", "")).partition(".")[0]
