"""Puts in place the guard, the redirect and the environment, and keeps the first two there against other plugins."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from pytest_imds.network.redirect import Guard, refresh, routed

NAME = "imds upkeep"
# Where pytest says which test runs.
RUNNING = "PYTEST_CURRENT_TEST"


class Upkeep:
    """Hooks that see that connections are led, or refused, in every phase of a test.

    What ends begins with a look as well, because pytest-socket has been at work by then: each fixture, whether its test
    has come to run or not, and the test itself, with what it has asked for while it ran.
    """

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """See to it before a fixture, which may be a client."""
        refresh()
        try:
            return (yield)
        finally:
            fixturedef.addfinalizer(refresh)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """See to it before the test."""
        refresh()
        try:
            return (yield)
        finally:
            item.addfinalizer(refresh)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, None, None]:
        """See to it that nothing of ours is left in the class of sockets: monkeypatch may have put it back."""
        try:
            return (yield)
        finally:
            refresh()


def keep(config: pytest.Config) -> None:
    """Do so from now on in this run."""
    if not config.pluginmanager.has_plugin(NAME):
        config.pluginmanager.register(Upkeep(), NAME)


def enter(monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> None:
    """Make ``environ`` the environment of this process, until ``monkeypatch`` puts back what it was."""
    for name in {*os.environ} - {*environ}:
        monkeypatch.delenv(name)
    for name, value in environ.items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)


def guard(config: pytest.Config) -> None:
    """Refuse, until the run ends, connections to the addresses of Azure's host that no server of a test answers."""
    guarding = ExitStack()
    guarding.enter_context(routed(Guard(lambda: os.environ.get(RUNNING, ""))))
    config.add_cleanup(guarding.close)
    keep(config)
