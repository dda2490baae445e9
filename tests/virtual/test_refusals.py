"""What keeps a time of its own is refused, and only for as long as time is virtual."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType

import pytest

from pytest_imds import ImdsUsageError
from pytest_imds.clock import Clock
from pytest_imds.virtual import VirtualTime
from tests.virtual.machine import Nobody

ADVICE = "keeps its own time, which cannot be virtual here.*use asyncio, or leave imds_clock out and advance the clock"
Load = Callable[[str], ModuleType]


@pytest.fixture
def trio(load: Load, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What stands for trio, which need not be installed."""
    module = load("def run(function): return function()")
    monkeypatch.setitem(sys.modules, "trio", module)
    return module


@pytest.fixture
def uvloop(load: Load, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load(
        "class Base:\n"
        "    def run_forever(self): return 'ever'\n"
        "class Loop(Base):\n"
        "    def run_until_complete(self, what): return what\n"
    )
    monkeypatch.setitem(sys.modules, "uvloop", module)
    return module


def test_trio_is_refused(trio: ModuleType) -> None:
    run = trio.run
    with VirtualTime(Clock(), Nobody()), pytest.raises(ImdsUsageError, match=f"(?s)trio {ADVICE}"):
        trio.run(int)
    assert trio.run is run
    assert trio.run(int) == 0


def test_trio_is_refused_where_it_is_bound_by_name(trio: ModuleType, load: Load) -> None:
    client = load("from trio import run as start")
    with VirtualTime(Clock(), Nobody()), pytest.raises(ImdsUsageError, match="trio"):
        client.start(int)
    assert client.start is trio.run


@pytest.mark.parametrize("name", ["run_forever", "run_until_complete"])
def test_uvloop_is_refused(uvloop: ModuleType, name: str) -> None:
    before = dict(vars(uvloop.Loop))
    with VirtualTime(Clock(), Nobody()), pytest.raises(ImdsUsageError, match=f"(?s)uvloop {ADVICE}"):
        getattr(uvloop.Loop(), name)(1)
    assert dict(vars(uvloop.Loop)) == before
    assert uvloop.Loop().run_until_complete(1) == 1
    assert uvloop.Loop().run_forever() == "ever"


def test_what_cannot_be_refused_leaves_nothing_behind(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load(
        "class Fixed(type):\n"
        "    def __setattr__(self, *_): raise TypeError('immutable type')\n"
        "class Loop(metaclass=Fixed):\n"
        "    def run_forever(self): pass\n"
    )
    monkeypatch.setitem(sys.modules, "uvloop", module)
    before = time.sleep, threading.Condition.wait, asyncio.BaseEventLoop.run_forever
    with pytest.raises(TypeError, match="immutable"), VirtualTime(Clock(), Nobody()):
        pass
    assert (time.sleep, threading.Condition.wait, asyncio.BaseEventLoop.run_forever) == before

    monkeypatch.delitem(sys.modules, "uvloop")
    with VirtualTime(Clock(), Nobody()):
        time.sleep(70)
