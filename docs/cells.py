"""Markdown tables and what stands in their cells."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table; its cells are Markdown already."""
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def plain(text: str) -> str:
    """Return ``text`` as Markdown that shows it as it is."""
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", text)


def code(text: str) -> str:
    """Return ``text`` as code."""
    return f"`{text.replace('|', chr(92) + '|')}`"


def life(field: dict[str, Any]) -> str:
    """Say in which api-versions a field is there."""
    if "until" not in field:
        return f"since {field['since']}"
    return f"{field['since']} alone" if field["until"] == field["since"] else f"{field['since']} to {field['until']}"
