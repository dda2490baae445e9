"""What ``/metadata/instance`` shows of a VM in each api-version.

The fields, since when each exists and which attribute it comes from are data
(``fixtures_data/schema.json``); this module turns one version of them into
functions once, and those functions read a VM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

from pytest_imds import data
from pytest_imds.tree import Json
from pytest_imds.vm import overrides

Reader = Callable[[Any], Any]


class Tag(NamedTuple):
    """One item of ``tagsList``."""

    name: str
    value: str


def document(vm: Any, version: str, *, extended: bool = False) -> dict[str, Json]:
    """Return the whole document of ``/metadata/instance`` for ``vm``.

    Keys stand in IMDS's order. Every primitive is a string, and what the VM
    does not have is ``""``; ``extended.compute.hasCustomData`` alone is a JSON
    boolean.

    Source: each field names its own in ``fixtures_data/schema.json``.
    """
    hidden = {"extended"} if not extended else set()
    if vm.classic:
        hidden.add("compute")
    whole = {key: read(vm) for key, read in _readers(version).items() if key not in hidden}
    for pointer, value in vm.overrides.items():
        overrides.apply(whole, pointer, value)
    return whole


@cache
def fields(version: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the fields of ``version``: path in the document to its row in the data."""
    return {
        path: field
        for path, field in data.read("schema").items()
        if field["since"] <= version <= field.get("until", version)
    }


@cache
def _readers(version: str) -> dict[str, Reader]:
    return _members(fields(version), "")


def _members(known: Mapping[str, Mapping[str, Any]], parent: str) -> dict[str, Reader]:
    start = f"{parent}." if parent else ""
    members = [path for path in known if path.startswith(start) and "." not in path[len(start) :]]
    keys = {path[len(start) :].removesuffix("[]"): path for path in members}
    return {key: _reader(known, keys[key]) for key in sorted(keys)}


def _reader(known: Mapping[str, Mapping[str, Any]], path: str) -> Reader:
    field = known[path]
    value: Reader = attrgetter(field["attribute"]) if field["attribute"] else _same
    if "encoding" in field:
        value = _encoded(value, _ENCODINGS[field["encoding"]])
    members = tuple(_members(known, path).items())
    if field["type"] == "object":
        return lambda owner: _object(members, value(owner))
    if field["type"] == "array":
        return lambda owner: [_object(members, item) for item in value(owner)]
    if field["type"] == "boolean":
        return lambda owner: bool(value(owner))
    return lambda owner: _text(value(owner))


def _encoded(value: Reader, encode: Reader) -> Reader:
    return lambda owner: encode(value(owner))


def _object(members: tuple[tuple[str, Reader], ...], owner: Any) -> dict[str, Json]:
    return {key: read(owner) for key, read in members}


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _same(value: Any) -> Any:
    return value


_ENCODINGS: dict[str, Reader] = {
    "tag-string": lambda tags: ";".join(f"{name}:{value}" for name, value in tags.items()),
    "tag-pairs": lambda tags: [Tag(name, value) for name, value in tags.items()],
}
