"""Libraries that take requests before they get to a socket, and how to let those to IMDS pass."""

from __future__ import annotations

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


def hints(error: BaseException) -> Iterator[str]:
    """Yield what to do about each library that had a part in ``error``."""
    met = {module for one in _chain(error) for module in _modules(one)}
    for name, row in known().items():
        if name in met:
            yield f"{row['library']} has answered in the place of IMDS. To let it pass: {row['passes']}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that led to it."""
    seen: list[BaseException] = []
    while error is not None and not any(error is one for one in seen):
        yield error
        seen.append(error)
        error = error.__cause__ or error.__context__


def _modules(error: BaseException) -> Iterator[str]:
    """Yield the packages that an error came through."""
    for frame, _ in walk_tb(error.__traceback__):
        yield str(frame.f_globals.get("__name__", "")).partition(".")[0]
