"""Runs of pytest inside a test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

# An inner run forgets the modules that it is the first to import; those of the server shall stay.
import pytest_imds.factory  # noqa: F401

# Other people's plugins that each inner run would import anew, for nothing.
WITHOUT = ("-p", "no:randomly", "-p", "no:faker", "-p", "no:hypothesispytest")
STRICT = ("addopts = --strict-markers --strict-config -p no:cacheprovider", "filterwarnings = error")
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest in this process, strictly, in the order of the file; arguments are those of the command line."""

    def run_in_process(*arguments: str, ini: tuple[str, ...] = ()) -> pytest.RunResult:
        pytester.makeini("\n".join(["[pytest]", *STRICT, *ini]))
        return pytester.runpytest_inprocess(*WITHOUT, *arguments)

    return run_in_process
