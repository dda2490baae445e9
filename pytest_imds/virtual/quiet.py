"""Whether the threads of the process do anything."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Container, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from pytest_imds.virtual.bindings import module_of

SERVER = "imds-server"
# Threads of test runners, which wait for their own masters.
RUNNERS = frozenset({"execnet", "xdist", "_pytest", "pluggy"})
# What stands between the code that waits for I/O and the system.
PLUMBING = frozenset({"selectors", "socket", "ssl"})
# Whoever waits in these waits for a child process, or for I/O that cannot be seen into.
CHILDREN = frozenset({"subprocess", "multiprocessing"})
CHILDREN_OF_LOOPS = frozenset({"asyncio.unix_events", "asyncio.windows_events"})
TASKS = Path("/proc/self/task")
LINUX = sys.platform == "linux" and TASKS.is_dir()


class Spot(NamedTuple):
    """Where a thread is: its frame, its instruction, and how long it has run."""

    frame: int
    place: tuple[int, int]
    run_ns: int
    server: bool


def frames() -> dict[int, FrameType]:
    """Return what each thread executes.

    CPython holds its own lock meanwhile, and may look for garbage: up to 3.11 it then waits for that lock if what goes
    away wants it, for ever (python/cpython issue 106883).
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames()
    finally:
        if collects:
            gc.enable()


def servers() -> set[int | None]:
    """Return which threads are those of the test's servers."""
    return {thread.ident for thread in threading.enumerate() if thread.name == SERVER}


def spots(frames: Mapping[int, FrameType]) -> dict[int, Spot] | None:
    """Return where threads are, given what they execute; None if another one begins."""
    known = {thread.ident: thread for thread in threading.enumerate()}
    if any(thread.ident is None or (LINUX and thread.native_id is None) for thread in known.values()):
        return None
    found = {}
    for ident, frame in frames.items():
        thread = known.get(ident)
        run_ns = 0 if thread is None else _run_ns(thread.native_id)
        server = thread is not None and thread.name == SERVER
        found[ident] = Spot(id(frame), (id(frame.f_code), frame.f_lasti), run_ns, server)
    return found


def run_times(besides: Container[int]) -> dict[int, int]:
    """Return how long each thread of the process has run, also of those that execute no Python, but for some."""
    if not LINUX:
        return {}
    return {int(one): _run_ns(int(one)) for one in os.listdir(TASKS) if int(one) not in besides}  # noqa: PTH208


def _run_ns(native_id: int | None) -> int:
    """Return how long a thread has run.

    A thread that computes may be seen at the same instruction twice: a loop yields where it begins anew, and C code
    shows none of its instructions.
    """
    if LINUX and native_id is not None:
        # This is how Linux numbers the clock of a thread; pthread_getcpuclockid() fails badly if that has ended.
        with suppress(OSError):
            return time.clock_gettime_ns(~native_id << 3 | 6)
    return 0


def runs(native_id: int) -> bool:
    """Return whether a thread would run if it had a processor, or waits for a disk.

    While one does, others may wait for it to pass on what all of them need to execute Python: they seem to wait for
    something else.
    """
    try:
        status = os.open(f"{TASKS}/{native_id}/stat", os.O_RDONLY)
        try:
            return os.read(status, 512).rpartition(b") ")[2][:1] in b"RD"
        finally:
            os.close(status)
    except OSError:
        return True  # it has ended just now


def idles(frame: FrameType) -> bool:
    """Return whether a thread belongs to the test runner, which waits for other things than the test does."""
    return module_of(frame).partition(".")[0] in RUNNERS


def waits(frame: FrameType | None) -> bool:
    """Return whether a thread waits for another one, or has ended."""
    return frame is None or module_of(frame) in ("threading", "queue") or "concurrent.futures" in module_of(frame)


def waits_for_child(frame: FrameType) -> bool:
    """Return whether a thread waits for a child process, or for a name server."""
    if module_of(frame) == "socket" and frame.f_code.co_name == "getaddrinfo":
        return True
    caller: FrameType | None = frame
    while caller is not None and module_of(caller) in PLUMBING:
        caller = caller.f_back
    name = "" if caller is None else module_of(caller)
    return name in CHILDREN_OF_LOOPS or name.partition(".")[0] in CHILDREN


def within(frame: FrameType | None, outer: FrameType) -> bool:
    """Return whether ``frame`` was called by ``outer``, however far up."""
    while frame is not None and frame is not outer:
        frame = frame.f_back
    return frame is not None
