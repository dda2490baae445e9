"""Runs of pytest inside a test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

# An inner run forgets the modules that it is the first to import; those of the server and its keys shall stay.
import pytest_imds.failures
import pytest_imds.trust.authority  # noqa: F401

# Other people's plugins that each run would import anew, for nothing.
WITHOUT = ("-p", "no:randomly", "-p", "no:faker", "-p", "no:hypothesispytest", "-p", "no:socket")
# To find every plugin that is installed takes an inner run longer than its tests do; that pytest finds ours is tested
# where it is started as users start it.
ALONE = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"
PLUGINS = ("-p", "pytest_imds.plugin")
STRICT = ("addopts = --strict-markers --strict-config -p no:cacheprovider", "filterwarnings = error")
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest in this process, strictly, in the order of the file; arguments are those of the command line."""

    def run_in_process(*arguments: str, ini: tuple[str, ...] = ()) -> pytest.RunResult:
        pytester.makeini("\n".join(["[pytest]", *STRICT, *ini]))
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv(ALONE, "1")
            return pytester.runpytest_inprocess(*PLUGINS, *arguments)

    return run_in_process


@pytest.fixture
def run_on_workers(pytester: pytest.Pytester) -> Run:
    """Run pytest on two workers of pytest-xdist."""

    def run_workers(*arguments: str) -> pytest.RunResult:
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv(ALONE, "1")
            return pytester.runpytest_subprocess(*PLUGINS, "-p", "xdist", "-n", "2", *arguments)

    return run_workers
