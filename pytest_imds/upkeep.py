"""Keeps the guard and the redirect in place: other plugins put back what they take for the original."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from pytest_imds.network.redirect import Guard, refresh, routed

NAME = "imds upkeep"
# Where pytest says which test runs.
RUNNING = "PYTEST_CURRENT_TEST"


class Upkeep:
    """Hooks that see that connections are led, or refused, in every phase of a test."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self) -> None:
        """See to it before a fixture, which may be a client."""
        refresh()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """See to it before the test, and again before its fixtures end: pytest-socket is done by then."""
        refresh()
        item.addfinalizer(refresh)


def keep(config: pytest.Config) -> None:
    """Do so from now on in this run."""
    if not config.pluginmanager.has_plugin(NAME):
        config.pluginmanager.register(Upkeep(), NAME)


def guard(config: pytest.Config) -> None:
    """Refuse, until the run ends, connections to the addresses of Azure's host that no server of a test answers."""
    guarding = ExitStack()
    guarding.enter_context(routed(Guard(lambda: os.environ.get(RUNNING, ""))))
    config.add_cleanup(guarding.close)
    keep(config)
