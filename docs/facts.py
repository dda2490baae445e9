"""The page that says how each fact of the data is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cells import code, life, plain, table

from pytest_imds import data

EVIDENCE = {
    "observed": ("observed", "a recorded answer of the real service shows it"),
    "docs": ("documented", "Microsoft's documentation says it"),
    "swagger": ("documented (API)", "Microsoft's description of the API (swagger) has it"),
    "client": ("relied on by clients", "public clients of the service depend on it"),
    "tested": ("tested", "it is no fact about Azure: a test of pytest-imds shows it"),
    "assumed": ("assumed", "nothing was found; pytest-imds made a choice"),
}

# What each file is, and what its facts are called in fidelity.md; in the order of that page.
FILES = {
    "errors": ("Errors", "the status, the body and the sender of every refusal"),
    "foreign": ("Foreign services", "what else may answer at the address of IMDS"),
    "behaviour": ("Behaviour", "the rules that routes, formats, headers and connections follow"),
    "senders": ("Senders", "who answers: the response headers of IMDS and of the host's web server"),
    "api_versions": ("Api-versions", "the api-versions, and how the service worded its refusals over the years"),
    "endpoints": ("Endpoints", "the paths under `/metadata`: verbs, api-versions, wordings of their own"),
    "schema": ("Fields", "every field of `/metadata/instance`: since when, until when, from which attribute"),
    "attested": ("Attested documents", "what attested documents say, and how they are written and signed"),
    "chains": ("Attested documents", "the authorities that sign attested documents"),
    "identity": ("Managed identity", "which identity answers, and what tokens say"),
    "events": ("Scheduled events", "what events are shown, and what becomes of them"),
    "environment": ("Reaching clients", "the variables by which clients find IMDS, or look elsewhere"),
    "rules": ("Rules for callers", "what IMDS asks of its callers, and how the audit judges it"),
    "interceptors": ("Reaching clients", "libraries that take requests before they get to a socket"),
    "loadbalancer": ("Load balancer", "public addresses and rules, and how they are written"),
    "confidential": ("Confidential and pre-provisioned VMs", "the certificate of the processor of a confidential VM"),
    "reprovision": ("Confidential and pre-provisioned VMs", "what a pre-provisioned VM is told"),
    "profiles": ("Catalogue", "the kinds of VM a test can ask for"),
    "clouds": ("Catalogue", "the clouds, their regions, availability zones and edge zones"),
    "sizes": ("Catalogue", "VM sizes and what they allow"),
    "images": ("Catalogue", "marketplace images"),
    "network": ("Catalogue", "MAC prefixes and address ranges"),
    "ssh_keys": ("Catalogue", "public keys for generated VMs"),
    "forgeries": ("Catalogue", "forged attested documents, and what a verifier must check"),
}

# The files whose facts say in a sentence what they are.
RULES = (
    "behaviour",
    "attested",
    "chains",
    "identity",
    "events",
    "environment",
    "interceptors",
    "rules",
    "loadbalancer",
    "confidential",
    "reprovision",
)
# Where that sentence stands, if it is not under "rule".
SAYS = {"chains": "about", "rules": "asks"}
LEFT_OUT = Path(__file__).with_name("left_out.json")


@dataclass(frozen=True)
class Fact:
    """Something that pytest-imds takes for true."""

    group: str
    name: str
    what: str
    evidence: str
    source: str
    assumption: str = ""

    @property
    def basis(self) -> str:
        """How the fact is known."""
        known = EVIDENCE[self.evidence][0]
        return f"{known}; in part assumed" if self.assumption and self.evidence != "assumed" else known


def facts() -> Iterator[Fact]:
    """Return every fact of the data."""
    unknown = {path.stem for path in data.folder().glob("*.json")} ^ set(FILES)
    if unknown:
        raise SystemExit(f"FILES and fixtures_data disagree about: {', '.join(sorted(unknown))}")
    for file in ("errors", "foreign"):
        for name, row in data.read(file).items():
            yield _fact(file, name, f"{row['status']}, {_body(row['body'])}: {plain(row['when'])}", row)
    for name, row in data.read("senders").items():
        yield _fact("senders", name, f"{', '.join(row['headers'])}{_server(row)}", row)
    versions = data.read("api_versions")
    for row in versions["versions"]:
        yield _fact("api_versions", row["version"], "exists", row)
    count = versions["newest_versions"]
    yield _fact("api_versions", "newest-versions", f"names {count['count']} api-versions", count)
    for row in versions["eras"]:
        yield _fact("api_versions", f"{row['newest']} and later", _era(row), row)
    for name, row in data.read("endpoints").items():
        yield _fact("endpoints", f"/metadata/{name}".rstrip("/"), _endpoint(row), row)
    for name, row in data.read("schema").items():
        yield _fact("schema", name, f"{life(row)}; {row['type']}{_note(row)}", row)
    for file in RULES:
        for name, row in data.read(file).items():
            yield _fact(file, name, plain(row[SAYS.get(file, "rule")]), row)
    for name in (name for name, (group, _) in FILES.items() if group == "Catalogue"):
        about = data.read(name)["_about"]
        parts = [
            f"{key.removesuffix('_source')}: {source}"
            for key, source in data.read(name).items()
            if key.endswith("_source")
        ]
        sources = {"source": "; ".join([about["source"], *parts])}
        yield _fact(name, name, f"{FILES[name][1]}{_note(about)}", {**about, **sources})


def _fact(file: str, name: str, what: str, row: dict[str, Any]) -> Fact:
    if ("assumption" in row) != row.get("assumed", False):
        raise SystemExit(f"{file}: {name}: what is assumed, and only that, has an assumption")
    return Fact(FILES[file][0], name, what, row["evidence"], row["source"], row.get("assumption", ""))


def _server(row: dict[str, Any]) -> str:
    return f"; {code('Server: ' + row['server'])}" if "server" in row else ""


def _body(body: str) -> str:
    if len(body) > 300:
        return f"a page of {len(body.encode())} bytes"
    return code(body) if body else "no body"


def _era(row: dict[str, Any]) -> str:
    listing = "lists" if row["root_listing"] else "does not list"
    missing, unsupported = code(row["version_missing"]), code(row["version_unsupported"])
    return (
        f"no api-version: {missing}; one that the service does not have: {unsupported}; `/metadata` {listing} instance/"
    )


def _endpoint(row: dict[str, Any]) -> str:
    versions = f"api-versions {', '.join(row['versions'])}" if "versions" in row else ""
    since = f"since {row['since']}" if "since" in row else ""
    verbs = " and ".join(row.get("methods", ["GET"]))
    return "; ".join(part for part in (plain(row["about"]), verbs, since or versions) if part)


def _note(row: dict[str, Any]) -> str:
    return f"; {plain(row['note'])}" if "note" in row else ""


def page() -> str:
    """Return the page that says how each fact is known."""
    known = list(facts())
    groups = list(dict.fromkeys(group for group, _ in FILES.values()))
    parts = [
        "# Fidelity",
        "`python docs/generate.py` writes this page from `fixtures_data`: do not edit it.",
        "A test double is as good as its evidence. This page lists every fact that pytest-imds takes for true, and"
        " how it is known.",
        table(("word", "meaning"), EVIDENCE.values()),
        "A fact that is *in part assumed* has a sound source, but says more than its source does. What it says more is"
        " in the next section.",
        table(
            ("facts", "all", *(word for word, _ in EVIDENCE.values()), "in part assumed"),
            [_counts(group, [fact for fact in known if fact.group == group]) for group in groups],
        ),
        "## Assumptions",
        "A recorded answer that says otherwise, or a page of documentation, is a reason to change the data.",
        table(
            ("fact", "what pytest-imds does", "what is assumed"),
            [(code(fact.name), fact.what, plain(fact.assumption)) for fact in known if fact.assumption],
        ),
    ]
    left_out = json.loads(LEFT_OUT.read_text(encoding="utf-8"))
    parts += [
        "## Left out",
        "What the service has, or is said to have, and pytest-imds has not.",
        table(
            ("what", "why", "source"),
            [(plain(row["what"]), plain(row["reason"]), plain(row["source"])) for row in left_out.values()],
        ),
    ]
    for group in groups:
        rows = [(code(fact.name), fact.what, fact.basis, plain(fact.source)) for fact in known if fact.group == group]
        parts += [f"## {group}", table(("fact", "what it is", "known how", "source"), rows)]
    return "\n\n".join(parts) + "\n"


def _counts(group: str, known: list[Fact]) -> list[object]:
    by_word = [sum(fact.evidence == word for fact in known) for word in EVIDENCE]
    return [group, len(known), *by_word, sum("in part" in fact.basis for fact in known)]
