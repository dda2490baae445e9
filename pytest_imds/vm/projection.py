"""What ``/metadata/instance`` shows of a VM in each api-version.

The fields, since when each exists and which attribute it comes from are data
(``fixtures_data/schema.json``). One version of them becomes a plan once. To
answer a request, the plan reads the VM into a tuple of strings, and shapes that
tuple into the document; the second step is a pure function of the first, so
that a VM that has not changed is shaped and written as JSON a single time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

from pytest_imds import data
from pytest_imds.tree import Json, compact, walk
from pytest_imds.vm import overrides

Values = tuple[Any, ...]
ONLY_STR = {str}


# The members of the document that are left out: by whether extended=true was asked for and the VM is a classic one.
_HIDDEN = {
    (extended, classic): frozenset(
        name for name, shown in (("extended", extended), ("compute", not classic)) if not shown
    )
    for extended in (True, False)
    for classic in (True, False)
}


class Tag(NamedTuple):
    """One item of ``tagsList``."""

    name: str
    value: str


@dataclass(frozen=True)
class View:
    """What an api-version shows of a VM at one moment."""

    version: str
    hidden: frozenset[str]
    values: Hashable
    overrides: Mapping[str, Json]

    def document(self) -> dict[str, Json]:
        """Return the whole document.

        Keys stand in IMDS's order. Every primitive is a string, and what the
        VM does not have is ``""``; ``extended.compute.hasCustomData`` alone is
        a JSON boolean.

        Source: each field names its own in ``fixtures_data/schema.json``.
        """
        whole = _shape(self.version, self.hidden, self.values)
        for pointer, value in self.overrides.items():
            overrides.apply(whole, pointer, value)
        return whole

    def json(self, route: tuple[str, ...]) -> str | None:
        """Return the compact JSON of the object or array at ``route``, or None if there is none."""
        if self.overrides:
            return _written(walk(self.document(), route))
        return _json(self.version, self.hidden, self.values, route)


def view(vm: Any, version: str, *, extended: bool = False) -> View:
    """Read ``vm`` as ``version`` shows it; ``extended`` adds what ``extended=true`` asks for."""
    hidden = _HIDDEN[extended, bool(vm.classic)]
    return View(version, hidden, _plan(version).read(vm), dict(vm.overrides))


@cache
def fields(version: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the fields of ``version``: path in the document to its row in the data."""
    return {
        path: field
        for path, field in data.read("schema").items()
        if field["since"] <= version <= field.get("until", version)
    }


def brought(version: str) -> list[str]:
    """Return the fields that ``version`` brought, of those below one another the uppermost."""
    new = [path for path, field in data.read("schema").items() if field["since"] == version]
    return [path for path in new if path.rpartition(".")[0] not in new]


@lru_cache(maxsize=32)  # a test has one VM, and asks for a few routes
def _json(version: str, hidden: frozenset[str], values: Values, route: tuple[str, ...]) -> str | None:
    return _written(walk(_shape(version, hidden, values), route))


def _written(node: Json | None) -> str | None:
    return compact(node) if isinstance(node, (dict, list)) else None


def _shape(version: str, hidden: frozenset[str], values: Any) -> dict[str, Json]:
    whole = _plan(version).shape(values)
    return {key: value for key, value in whole.items() if key not in hidden}


@cache
def _plan(version: str) -> _Plan:
    return _Plan(fields(version), "")


class _Plan:
    """How an object of the model is read, and how what was read is shaped.

    Objects below it are read along: ``osProfile.adminUsername`` is one more
    value of the VM. Arrays have a plan of their own, for their items.
    """

    def __init__(self, known: Mapping[str, Mapping[str, Any]], path: str) -> None:
        self._texts: list[str] = []
        self._others: list[Callable[[Any], Any]] = []
        self._members = self._add_members(known, path, "")
        self.read = _reader(self._texts, self._others)

    def _add_members(self, known: Mapping[str, Mapping[str, Any]], path: str, owner: str) -> dict[str, Any]:
        """Return key to where its value comes from: an index, or the members of an object."""
        start = f"{path}." if path else ""
        children = {child[len(start) :].removesuffix("[]"): child for child in known if child.startswith(start)}
        members: dict[str, Any] = {}
        for key in sorted(key for key in children if "." not in key):
            field = known[children[key]]
            attribute = ".".join(part for part in (owner, field["attribute"]) if part)
            if field["type"] == "object":
                members[key] = self._add_members(known, children[key], attribute)
            elif field["type"] == "string" and "encoding" not in field:
                members[key] = len(self._texts)
                self._texts.append(attribute)
            else:
                items = _Plan(known, children[key]) if field["type"] == "array" else None
                members[key] = _Other(len(self._others), items)
                self._others.append(_other_reader(field, attribute, items))
        return members

    def shape(self, values: Values) -> dict[str, Json]:
        """Return the JSON object that ``values`` make."""
        return self._shape(self._members, values)

    def _shape(self, members: Mapping[str, Any], values: Values) -> dict[str, Json]:
        shaped: dict[str, Json] = {}
        for key, source in members.items():
            if isinstance(source, dict):
                shaped[key] = self._shape(source, values)
            elif isinstance(source, int):
                shaped[key] = values[0][source]
            else:
                shaped[key] = source.shape(values[1][source.place])
        return shaped


class _Other(NamedTuple):
    """Where a value is that is no plain string: an array of ``items``, an encoded string, a boolean."""

    place: int
    items: _Plan | None

    def shape(self, value: Any) -> Json:
        return [self.items.shape(item) for item in value] if self.items else value


def _other_reader(field: Mapping[str, Any], attribute: str, items: _Plan | None) -> Callable[[Any], Any]:
    get = attrgetter(attribute)
    encode = _ENCODINGS[field.get("encoding", field["type"])]
    if items is None:
        return lambda owner: encode(get(owner))
    read = items.read
    return lambda owner: tuple([read(item) for item in encode(get(owner))])


def _reader(attributes: list[str], others: list[Callable[[Any], Any]]) -> Callable[[Any], Values]:
    """Return what reads an object: its strings, then its other values, in the order of the plan."""
    get = _getter(attributes)

    def read(owner: Any) -> Values:
        texts = get(owner)
        if set(map(type, texts)) != ONLY_STR:
            texts = tuple([value if value.__class__ is str else _text(value) for value in texts])
        return texts, tuple([other(owner) for other in others]) if others else ()

    return read


def _getter(attributes: list[str]) -> Callable[[Any], Values]:
    if attributes == [""]:
        return lambda owner: (owner,)
    get = attrgetter(*attributes)
    return get if len(attributes) > 1 else lambda owner: (get(owner),)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_ENCODINGS: dict[str, Callable[[Any], Any]] = {
    "array": iter,
    "boolean": bool,
    "tag-string": lambda tags: ";".join(f"{name}:{value}" for name, value in tags.items()),
    "tag-pairs": lambda tags: [Tag(name, value) for name, value in tags.items()],
}
