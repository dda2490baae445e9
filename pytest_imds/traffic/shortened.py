"""Cuts what nobody reads: tokens, signatures, keys and certificates."""

from __future__ import annotations

import re

# Letters, digits and what else Base64 has, or Base64 of URLs, with the dots of a JWT: longer than names and ids are.
LONG = re.compile(r"eyJ[\w-]{9,}(?:\.[\w-]*)+|[A-Za-z0-9+/]{64,}={0,2}|[\w-]{64,}", re.ASCII)
LEFT = 12


def shortened(text: str) -> str:
    """Return ``text`` with the beginning of each token and signature, and how long it is."""
    return LONG.sub(lambda found: f"{found[0][:LEFT]}… ({len(found[0])} characters)", text)


def readable(body: bytes, most: int) -> str:
    """Return the text of a body, shortened, and no more than its first ``most`` characters."""
    text = shortened(body.decode("utf-8", "replace"))
    shown = "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)
    return shown if len(shown) <= most else f"{shown[:most]}… ({len(shown) - most} characters more)"
