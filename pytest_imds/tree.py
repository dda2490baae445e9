"""JSON as a tree: reach a node by its path, list its children."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

Json = dict[str, "Json"] | list["Json"] | str | bool | int


INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


def child(node: Json | None, segment: str) -> Json | None:
    """Return the member or item of ``node`` that ``segment`` names, or None.

    An index is written as JSON writes a number: ``0``, not ``00`` or ``-1``.
    """
    if isinstance(node, dict):
        return node.get(segment)
    if isinstance(node, list) and INDEX.fullmatch(segment):
        index = int(segment)
        return node[index] if index < len(node) else None
    return None


def walk(node: Json | None, segments: Iterable[str]) -> Json | None:
    """Follow ``segments`` from ``node`` down; None where the way ends."""
    for segment in segments:
        node = child(node, segment)
    return node


def compact(node: Json) -> str:
    """Write ``node`` as IMDS does: no spaces, no final newline, no escapes for what UTF-8 can say.

    Source: ``compact-json`` and ``utf-8`` in ``fixtures_data/behaviour.json``.
    """
    return json.dumps(node, ensure_ascii=False, separators=(",", ":"))


def listing(node: dict[str, Json] | list[Json]) -> str:
    """Name the children of ``node``, a line each, with a slash behind those that have children.

    Source: ``listing`` in ``fixtures_data/behaviour.json``.
    """
    children = node.items() if isinstance(node, dict) else enumerate(node)
    return "\n".join(f"{key}/" if isinstance(value, (dict, list)) else str(key) for key, value in children)
