"""What is put in the place of functions of other modules, and taken away again."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from types import FrameType, ModuleType
from typing import Any

# Their own durations and time-outs stay the machine's. A child process is one of the machine: so are the waits for it.
REAL_TIME = frozenset(
    {"pytest_imds", "_pytest", "pytest", "pluggy", "xdist", "execnet", "subprocess", "multiprocessing"}
)


# Each module with its globals, how many they are, and which of them are to be looked at.
_known: dict[str, tuple[object, dict[str, Any], int, tuple[str, ...]]] = {}


def keeps_real_time(frame: FrameType | None) -> bool:
    """Return whether a function is one of those whose time is the machine's."""
    return frame is not None and module_of(frame).partition(".")[0] in REAL_TIME


def module_of(frame: FrameType) -> str:
    """Return the name of the module that a function is of."""
    return str(frame.f_globals.get("__name__", ""))


def replace(replacements: Sequence[tuple[object, object]]) -> None:
    """Put one object in the place of another wherever a loaded module has it as a global.

    To look at tens of thousands of globals takes milliseconds. So a module is looked through when it is new, or has
    more or fewer globals than before; otherwise only what is named after time, or was such a function before.
    """
    by_id = {id(old): new for old, new in replacements}
    either = {id(one) for replacement in replacements for one in replacement}
    modules = sys.modules.copy()
    for name in [name for name in _known if name not in modules]:
        del _known[name]
    for name, module in modules.items():
        known = _known.get(name)
        if known is None or known[0] is not module or known[2] != len(known[1]):
            known = _known[name] = _look_through(name, module, either)
        for global_name in known[3]:
            value = known[1].get(global_name)
            if id(value) in by_id:
                known[1][global_name] = by_id[id(value)]


def _look_through(
    name: str, module: object, replaceable: set[int]
) -> tuple[object, dict[str, Any], int, tuple[str, ...]]:
    # isinstance() would believe an object that claims to be a module, and ask a lazy one to load itself.
    if name.partition(".")[0] in REAL_TIME or not issubclass(type(module), ModuleType):
        return module, {}, 0, ()
    namespace: dict[str, Any] = ModuleType.__getattribute__(module, "__dict__")
    return module, namespace, len(namespace), tuple(_names(namespace, replaceable))


def _names(namespace: dict[str, Any], replaceable: set[int]) -> Iterator[str]:
    for name, value in zip(list(namespace), list(namespace.values()), strict=False):
        # What is called so may be a function of time later on. A pattern of these words takes ten times as long.
        hints = "time" in name or "sleep" in name or "monotonic" in name or "perf" in name or "clock" in name
        if (hints and not issubclass(type(value), (type, ModuleType, str, int, float))) or id(value) in replaceable:
            yield name
