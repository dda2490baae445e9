"""Stories of tests that were never run, for the page about a run."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import datetime, timezone
from html.parser import HTMLParser
from typing import Any
from zlib import decompress

from pytest_imds.report.page import Finished, page
from pytest_imds.report.story import written

MADE = datetime(2025, 11, 26, 1, 18, tzinfo=timezone.utc)
BEGAN = 1764119880.0
INSTANCE = "/metadata/instance?api-version=2021-02-01"
SENT = [["host", "169.254.169.254"], ["user-agent", "python-requests/2.32.5"], ["metadata", "true"]]
GOT = [["content-type", "application/json; charset=utf-8"], ["server", "IMDS/150.870.65.1854"]]
BODY = '{"compute":{"azEnvironment":"AzurePublicCloud","location":"westeurope","name":"vm-1","tags":""}}'


def exchange(n: int = 1, **different: Any) -> dict[str, Any]:
    usual = {
        "n": n,
        "at": 0.01 * n,
        "took": 0.002,
        "method": "GET",
        "target": INSTANCE,
        "status": 200,
        "bytes": len(BODY),
        "faults": [],
        "proxied": False,
        "peer": "127.0.0.1:50012",
        "sent": SENT,
        "body": "",
        "got": GOT,
        "reply": BODY,
    }
    assert usual.keys() >= different.keys()
    return {**usual, **different}


def server(*exchanges: dict[str, Any], **different: Any) -> dict[str, Any]:
    usual = {
        "vm": "vm-1",
        "profile": "linux",
        "seed": "0",
        "url": "http://127.0.0.1:41234",
        "began": BEGAN,
        "duration": 0.05,
        "dropped": 0,
        "exchanges": list(exchanges),
        "windows": [],
        "jumps": [],
        "findings": [],
    }
    assert usual.keys() >= different.keys()
    return {**usual, **different}


def finished(*servers: dict[str, Any], node_id: str = "test_it.py::test_it", **different: Any) -> Finished:
    told = written(servers, f"pytest {node_id} --imds-seed=0")
    return Finished(node_id, "passed", 0.012, "", *told)._replace(**different)


def html(*tests: Finished, others: int = 0) -> str:
    return page(tests, others=others, made=MADE, version="0.1.0")


class Parsed(HTMLParser):
    """What a browser finds in a page: its elements, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = dict(attrs).get("id") or tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside] = self.texts.get(self._inside, "") + data


def told(text: str) -> dict[str, Any]:
    """Return what a page has about its run, with what it keeps apart in its place."""
    texts = Parsed(text).texts
    run: dict[str, Any] = json.loads(texts["run"])
    for test, line in zip(run["tests"], texts.get("apart", "").split("\n"), strict=bool(run["tests"])):
        for server, apart in zip(test["story"]["servers"], json.loads(decompress(b64decode(line))), strict=True):
            server["exchanges"] = [{**one, **two} for one, two in zip(server["exchanges"], apart, strict=True)]
    return run
