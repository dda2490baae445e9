"""What keeps a time of its own, and is refused while time is virtual."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from pytest_imds.errors import ImdsUsageError
from pytest_imds.patches import Patches


def replacements() -> list[tuple[object, object]]:
    """Return the functions that are not to be called, where their modules are loaded, each with a refusal."""
    run = getattr(sys.modules.get("trio"), "run", None)
    return [] if run is None else [(run, _refuse_trio)]


def patch(patches: Patches) -> None:
    """Refuse the methods that are not to be called, where their modules are loaded."""
    loop = getattr(sys.modules.get("uvloop"), "Loop", None)
    if isinstance(loop, type):
        for name in ("run_forever", "run_until_complete"):
            patches.put(loop, name, lambda _: _refuse_uvloop)


def _refuse_trio(*_args: Any, **_options: Any) -> NoReturn:
    _refuse("trio")


def _refuse_uvloop(*_args: Any, **_options: Any) -> NoReturn:
    _refuse("uvloop")


def _refuse(what: str) -> NoReturn:
    raise ImdsUsageError(
        f"{what} keeps its own time, which cannot be virtual here.\n"
        "  right: use asyncio, or leave imds_clock out and advance the clock"
    )
