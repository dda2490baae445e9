"""The page about a run, as one HTML text that needs nothing else."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent
# In the order in which they run: each knows those before it.
SCRIPTS = ("elements.js", "timeline.js", "exchange.js", "rows.js", "page.js")


class Finished(NamedTuple):
    """A test that had a server, and has ended.

    Attributes:
        node_id: as pytest writes it.
        outcome: ``passed``, ``failed``, ``error``, ``skipped``, ``xfailed`` or ``xpassed``.
        duration_s: how many real seconds its phases took.
        why: what pytest says of a test that did not pass; empty if it did.
        shown: what the page shows of it: JSON, as the module ``story`` has it.
        apart: what it shows of one exchange at a time.
    """

    node_id: str
    outcome: str
    duration_s: float
    why: str
    shown: str
    apart: str


def page(tests: Iterable[Finished], *, others: int, made: datetime, version: str) -> str:
    """Return the page.

    Whatever comes from a test stands in blocks of data, which no browser runs, and in which ``<`` is escaped: nothing
    in it can end the block. The page's own policy lets nothing be loaded, and no script run but its own.

    Args:
        tests: what it shows, in this order.
        others: how many other tests the run had.
        made: when, in UTC.
        version: that of pytest-imds.
    """
    tests = list(tests)
    style = _asset("page.css")
    script = "".join(map(_asset, SCRIPTS))
    about = {"version": version, "made": made.isoformat(timespec="seconds"), "others": others}
    parts = {
        "policy": f"default-src 'none'; style-src {_hashed(style)}; script-src {_hashed(script)};"
        " base-uri 'none'; form-action 'none'",
        "style": style,
        "script": script,
        "run": _joined(about, "tests", f"[{','.join(map(_test, tests))}]").replace("<", "\\u003c"),
        "apart": "\n".join(test.apart for test in tests),
    }
    # One pass: what a test has sent may look like a place to be filled.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _asset("page.html"))


def _test(test: Finished) -> str:
    ours = {"id": test.node_id, "outcome": test.outcome, "duration": round(test.duration_s, 4), "why": test.why}
    return _joined(ours, "story", test.shown)


def _joined(members: dict[str, object], name: str, written: str) -> str:
    """Return a JSON object with one member more, which is JSON already: nobody reads a large run again to write it."""
    return f"{json.dumps(members)[:-1]}, {json.dumps(name)}: {written}}}"


def _asset(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _hashed(text: str) -> str:
    """Return how a policy names a block of this text."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
