"""Threads are looked at without waiting for any, and may end meanwhile."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from threading import Event, Thread

import pytest

from pytest_imds.virtual import quiet

FEW = 5  # objects, after which garbage would be looked for


@pytest.fixture
def busy() -> Iterator[None]:
    """Threads whose frames nobody has seen yet: each becomes an object when it is looked at."""
    done = Event()
    threads = [Thread(target=done.wait, daemon=True) for _ in range(40)]
    for thread in threads:
        thread.start()
    yield
    done.set()
    for thread in threads:
        thread.join()


@pytest.mark.usefixtures("busy")
def test_no_garbage_is_collected_under_the_lock_of_the_interpreter() -> None:
    """Whatever goes away then may wait for the same lock: CPython 3.11 has stopped (python/cpython issue 106883)."""
    collections = []
    gc.collect()
    before = gc.get_threshold()
    gc.callbacks.append(lambda phase, _: collections.append(phase))
    gc.set_threshold(FEW)
    try:
        assert len(quiet.frames()) > 40
    finally:
        gc.set_threshold(*before)
        gc.callbacks.pop()

    assert len(collections) <= 2 * 2  # around it


def test_who_has_turned_the_collection_off_finds_it_off() -> None:
    assert gc.isenabled()
    quiet.frames()
    assert gc.isenabled()
    gc.disable()
    try:
        quiet.frames()
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.skipif(not quiet.LINUX, reason="other systems are not asked")
def test_a_thread_that_ends_while_it_is_looked_at_has_run(monkeypatch: pytest.MonkeyPatch) -> None:
    done = Event()
    thread = Thread(target=done.wait, daemon=True)
    thread.start()
    read = os.read

    def ended(file: int, size: int) -> bytes:
        done.set()
        thread.join()
        while os.path.exists(f"/proc/self/task/{thread.native_id}"):  # noqa: PTH110 - until the system has cleared it away
            pass
        return read(file, size)

    assert thread.native_id is not None
    monkeypatch.setattr(os, "read", ended)
    assert quiet.runs(thread.native_id)
