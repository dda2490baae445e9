"""Rows of data that are checked in one test, for what pytest does around a test takes longer than to check a row."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any

import pytest

Test = Callable[..., None]


def every(names: str | tuple[str, ...], rows: Iterable[Any]) -> Callable[[Test], Test]:
    """Check each row, like ``pytest.mark.parametrize``, but in one test, which tells all the rows that are wrong.

    The rows share the test's fixtures: it is for tests that leave nothing behind in them, and that skip nothing.
    """
    rows = list(rows)
    assert not any(isinstance(row, type(pytest.param())) for row in rows), "a row is no pytest.param()"
    of_row = (names,) if isinstance(names, str) else names
    given = [dict(zip(of_row, [row] if isinstance(names, str) else row, strict=True)) for row in rows]
    assert given, "there is no row to check"

    def decorate(test: Test) -> Test:
        @wraps(test)
        def checked(**fixtures: Any) -> None:
            problems = [(row, problem(test, {**fixtures, **row})) for row in given]
            wrong = [(row, found) for row, found in problems if found is not None]
            if wrong:
                told = "\n".join(f"{row}: {type(found).__name__}: {found}" for row, found in wrong)
                raise AssertionError(f"{len(wrong)} of {len(given)} rows are wrong\n{told}") from wrong[0][1]

        parameters = inspect.signature(test).parameters
        assert parameters.keys() >= {*of_row}, f"{test.__name__} does not take {names}"
        others = [one for name, one in parameters.items() if name not in of_row]
        checked.__signature__ = inspect.Signature(others)  # type: ignore[attr-defined]
        return checked

    return decorate


def problem(test: Test, arguments: Mapping[str, Any]) -> BaseException | None:
    """Return what a test raises."""
    try:
        test(**arguments)
    except (Exception, pytest.fail.Exception) as found:  # noqa: BLE001  # whatever it is, the row is wrong
        return found
    return None
