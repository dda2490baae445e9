"""Read-only access to ``fixtures_data``: the facts about Azure and IMDS."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from pathlib import Path
from typing import Any


@lru_cache(maxsize=1)
def folder() -> Path:
    """Return the folder of the data: inside an installed wheel, beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    packaged = package / "fixtures_data"
    return packaged if packaged.is_dir() else package.parent / "fixtures_data"


@cache
def read(name: str) -> Any:
    """Return the parsed ``<name>.json``. Every caller shares it: never change it."""
    return json.loads((folder() / f"{name}.json").read_text(encoding="utf-8"))
