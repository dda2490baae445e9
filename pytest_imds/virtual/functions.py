"""The functions of :mod:`time` that tell a clock's time while it is virtual, and otherwise the machine's."""

from __future__ import annotations

import sys
import time as _time
from collections.abc import Callable
from typing import Any

from pytest_imds.clock import Clock
from pytest_imds.virtual.bindings import keeps_real_time

NS = 1_000_000_000

_told: Clock | None = None
_ahead_s: Callable[[], float] = float


def time() -> float:
    """Return seconds since the epoch."""
    return machine["time"]() if _told is None else _told.time()


def time_ns() -> int:
    """Return nanoseconds since the epoch."""
    return machine["time_ns"]() if _told is None else int(_told.time() * NS)


def monotonic() -> float:
    """Return seconds since some moment."""
    return machine["monotonic"]() if _told is None else _told.monotonic()


def monotonic_ns() -> int:
    """Return nanoseconds since some moment."""
    return machine["monotonic_ns"]() if _told is None else int(_told.monotonic() * NS)


def perf_counter() -> float:
    """Return seconds since some moment, as exactly as can be."""
    counted: float = machine["perf_counter"]()
    return counted if _told is None else counted + _ahead_s()


def perf_counter_ns() -> int:
    """Return nanoseconds since some moment, as exactly as can be."""
    return machine["perf_counter_ns"]() if _told is None else int(perf_counter() * NS)


def sleep(seconds: float, /) -> None:
    """Wait for ``seconds``."""
    clock = _told
    if clock is None or keeps_real_time(sys._getframe(1)):
        machine["sleep"](seconds)
    else:
        clock.sleep(seconds)


OURS: dict[str, Callable[..., Any]] = {
    ours.__name__: ours for ours in (time, time_ns, monotonic, monotonic_ns, perf_counter, perf_counter_ns, sleep)
}
# What was in ``time`` when the time became virtual: the machine's functions, or another library's that stand for them.
machine: dict[str, Callable[..., Any]] = {name: getattr(_time, name) for name in OURS}


def replacements() -> list[tuple[object, object]]:
    """Return what is in ``time``, each with the function of ours for it."""
    for name, ours in OURS.items():
        # Ours may have been left there, by somebody who had put theirs on top of it.
        if (found := getattr(_time, name)) is not ours:
            machine[name] = found
    return [(machine[name], ours) for name, ours in OURS.items()]


def tell(clock: Clock | None, ahead_s: Callable[[], float] = float) -> None:
    """Tell the time of ``clock``, which is ahead of the machine's by ``ahead_s()``; None is the machine's itself."""
    global _told, _ahead_s
    _told, _ahead_s = clock, ahead_s
