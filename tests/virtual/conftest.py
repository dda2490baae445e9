"""Virtual time of its own for every test, and what is needed to look at it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest

from pytest_imds.clock import Clock
from pytest_imds.virtual import VirtualTime
from tests.virtual.machine import Nobody, child


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock whose time is virtual, and no servers."""
    made = Clock()
    with VirtualTime(made, Nobody()):
        yield made


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads that wait for work."""
    with ThreadPoolExecutor(8) as made:
        yield made


@pytest.fixture(scope="session")
def slow_url() -> Iterator[str]:
    """Where another process answers, each time 80 real milliseconds late."""
    with child("slow") as url:
        yield url


@pytest.fixture(scope="session")
def dripping_url() -> Iterator[str]:
    """Where another process answers in pieces, 30 real milliseconds apart."""
    with child("dripping") as url:
        yield url


@pytest.fixture
def load() -> Iterator[Callable[[str], ModuleType]]:
    """Loads modules of the test, and takes them away again."""
    loaded: list[str] = []

    def load(source: str) -> ModuleType:
        module = ModuleType(f"virtual_time_tries_{len(loaded)}")
        loaded.append(module.__name__)
        sys.modules[module.__name__] = module
        exec(source, module.__dict__)
        return module

    yield load
    for name in loaded:
        del sys.modules[name]
