"""Writes what the documentation says about the data.

``python docs/generate.py`` writes ``docs/fidelity.md`` and the regions between
``<!-- begin: name -->`` and ``<!-- end: name -->`` in the other pages;
``--check`` writes nothing and exits 1 if something is out of date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import facts
import tables

ROOT = Path(__file__).resolve().parent.parent
REGION = re.compile(r"<!-- begin: (?P<name>[a-z-]+) -->\n.*?<!-- end: (?P=name) -->", re.DOTALL)

REGIONS = {
    "docs/attested.md": {
        "members": tables.members,
        "domains": tables.domains,
        "checks": tables.checks,
        "forgeries": tables.forgeries,
    },
    "docs/scheduled-events.md": {"event-types": tables.event_types, "event-members": tables.event_members},
    "docs/audit.md": {"rules": tables.rules},
    "docs/reaching-clients.md": {"interceptors": tables.interceptors, "environment": tables.environment},
    "docs/reference/faults.md": {"faults": tables.faults},
    "docs/reference/attestation.md": {"attestation-errors": tables.errors},
    "docs/reference/vm.md": {"profiles": tables.profiles, "knobs": tables.knobs, "attributes": tables.attributes},
    "docs/reference/catalogue.md": {"regions": tables.regions, "sizes": tables.sizes, "images": tables.images},
    "docs/reference/server.md": {"api-versions": tables.versions, "endpoints": tables.endpoints},
    "fixtures_data/README.md": {"files": tables.files},
}


def pages() -> dict[Path, str]:
    """Return each page with what should be in it."""
    written = {ROOT / "docs" / "fidelity.md": facts.page()}
    for name in REGIONS:
        written[ROOT / name] = _with_regions(name)
    return written


def _with_regions(name: str) -> str:
    text = (ROOT / name).read_text(encoding="utf-8")
    found = [region["name"] for region in REGION.finditer(text)]
    if sorted(found) != sorted(REGIONS[name]):
        raise SystemExit(f"{name} has the regions {found}; it should have {list(REGIONS[name])}")

    def region(old: re.Match[str]) -> str:
        written = REGIONS[name][old["name"]]()
        return f"<!-- begin: {old['name']} -->\n\n{written}\n\n<!-- end: {old['name']} -->"

    return REGION.sub(region, text)


def main(arguments: list[str]) -> str | None:
    """Write the pages, or say what is out of date."""
    if arguments not in ([], ["--check"]):
        return "usage: python docs/generate.py [--check]"
    stale = {
        path: text for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    if arguments:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        return f"out of date: {names}\nto write them: python docs/generate.py" if stale else None
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
