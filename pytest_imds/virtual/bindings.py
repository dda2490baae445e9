"""What is put in the place of functions of other modules, and taken away again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, ModuleType
from typing import Any, NamedTuple
from weakref import ref

# Their own durations and time-outs stay the machine's. A child process is one of the machine: so are the waits for it.
REAL_TIME = frozenset(
    {"pytest_imds", "_pytest", "pytest", "pluggy", "xdist", "execnet", "subprocess", "multiprocessing"}
)
# What a global is called that may be a function of time, though at the moment it is something else.
HINTS = ("time", "sleep", "monotonic", "perf", "clock")


class Known(NamedTuple):
    """What is known of a module: how many globals it has, and which of them are to be looked at."""

    module: ref[ModuleType]
    size: int
    names: tuple[str, ...]


_known: dict[str, Known] = {}


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
    seen = {}
    for name, module in sys.modules.copy().items():
        # isinstance() would believe an object that claims to be a module, and ask a lazy one to load itself.
        if not issubclass(type(module), ModuleType):
            continue
        namespace: dict[str, Any] = ModuleType.__getattribute__(module, "__dict__")
        known = _known.get(name)
        if known is None or known.module() is not module or known.size != len(namespace):
            names = () if name.partition(".")[0] in REAL_TIME else tuple(_names(namespace, either))
            known = Known(ref(module), len(namespace), names)
        seen[name] = known
        for global_name in known.names:
            value = namespace.get(global_name)
            if id(value) in by_id:
                namespace[global_name] = by_id[id(value)]
    _known.clear()
    _known.update(seen)


def _names(namespace: dict[str, Any], replaceable: set[int]) -> Iterator[str]:
    for name, value in list(namespace.items()):
        if id(value) in replaceable:
            yield name
        elif not issubclass(type(value), (type, ModuleType, str, int, float)):
            lower = name.lower()
            if any(hint in lower for hint in HINTS):
                yield name


class Patches:
    """Attributes of classes that are ours for a while."""

    def __init__(self) -> None:
        self._put: list[tuple[type, str, object, object]] = []

    def put(self, owner: type, name: str, ours: Callable[[Any], Callable[..., Any]]) -> None:
        """Put ``ours(theirs)`` in the place of ``theirs``, the attribute that is there."""
        inherited = object()
        before = vars(owner).get(name, inherited)
        made = ours(getattr(owner, name))
        self._put.append((owner, name, made, None if before is inherited else before))
        setattr(owner, name, made)

    def undo(self) -> None:
        """Put back what was there, unless somebody else has put something else there meanwhile."""
        while self._put:
            owner, name, made, before = self._put.pop()
            if vars(owner).get(name) is not made:
                continue
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
