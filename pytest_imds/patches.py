"""Attributes of other people's classes and modules that are ours for a while."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

_INHERITED = object()
# Where something was put, and what: the owner, the name, the thing.
_Place = tuple[int, str, int]


class Patches:
    """What has been put in the place of something else, to be taken away again."""

    def __init__(self) -> None:
        # Looked up, not searched: others may put back what was there, and it is put anew, in every test of a long run.
        self._put: dict[_Place, tuple[type | ModuleType, str, object, object]] = {}

    def put(self, owner: type | ModuleType, name: str, ours: Callable[[Any], Callable[..., Any]]) -> None:
        """Put ``ours(theirs)`` in the place of ``theirs``, the attribute that is there."""
        before = vars(owner).get(name, _INHERITED)
        made = ours(getattr(owner, name))
        self._put[id(owner), name, id(made)] = (owner, name, made, before)
        setattr(owner, name, made)

    def has(self, owner: type | ModuleType, name: str) -> bool:
        """Return whether what has been put there is still there."""
        return (id(owner), name, id(vars(owner).get(name))) in self._put

    def undo(self) -> None:
        """Put back what was there, unless somebody else has put something else there meanwhile."""
        while self._put:
            _, (owner, name, made, before) = self._put.popitem()
            if vars(owner).get(name) is not made:
                continue
            if before is _INHERITED:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
