"""Raw JSON that a test puts in the place of what the model would show."""

from __future__ import annotations

from copy import deepcopy

from pytest_imds import data
from pytest_imds.errors import ImdsUsageError
from pytest_imds.tree import Json, child, walk


def check(newest_document: Json, pointer: str) -> None:
    """Raise unless ``pointer`` leads to a place in ``newest_document``.

    Raises:
        ImdsUsageError: it is no JSON pointer (RFC 6901), or its parent is not there.
    """
    segments = _segments(pointer)
    if len(segments) < 2 or _parent(newest_document, segments) is None:
        raise ImdsUsageError.wrong_value(
            "the pointer of vm.override()",
            pointer,
            "a JSON pointer whose parent is in the document of /metadata/instance, such as '/compute/licenseType'",
        )


def apply(document: dict[str, Json], pointer: str, value: Json) -> None:
    """Set ``value`` at ``pointer``, where the api-version of ``document`` has such a place.

    A member that another api-version has, and this one does not, stays away;
    one that no version has is added.
    """
    segments = _segments(pointer)
    parent, key = _parent(document, segments), segments[-1]
    value = deepcopy(value)  # a later override may reach into it
    if isinstance(parent, list):
        parent[int(key)] = value
    elif isinstance(parent, dict) and (key in parent or not _is_known(document, segments)):
        members = sorted({**parent, key: value}.items())
        parent.clear()
        parent.update(members)


def _segments(pointer: str) -> list[str]:
    if not pointer.startswith("/"):
        return []
    return [segment.replace("~1", "/").replace("~0", "~") for segment in pointer[1:].split("/")]


def _parent(document: Json, segments: list[str]) -> dict[str, Json] | list[Json] | None:
    node = walk(document, segments[:-1])
    if isinstance(node, dict) or (isinstance(node, list) and child(node, segments[-1]) is not None):
        return node
    return None


def _is_known(document: Json, segments: list[str]) -> bool:
    """Whether any api-version has the member that ``segments`` lead to."""
    path = ""
    for depth, segment in enumerate(segments):
        node = walk(document, segments[:depth])
        path += "[]" if isinstance(node, list) else f".{segment}"
    path = path.removeprefix(".")
    return path in data.read("schema") or f"{path}[]" in data.read("schema")
