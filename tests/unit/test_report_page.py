"""The page about a run: one text that needs nothing else, whatever tests have sent."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

from tests.stories import Parsed, exchange, finished, html, server, told

HOSTILE = "</script><img src=x onerror=alert(1)><!--<script>{{script}}\u2028\\"


def test_what_is_told_of_tests_is_in_the_page() -> None:
    servers = [server(exchange(1, status=410, faults=["gone"]), exchange(2, body="x", took=None)), server()]
    page = html(finished(*servers), finished(outcome="failed", why="E  no"), others=3)
    run = told(page)

    assert (run["others"], run["made"], run["version"]) == (3, "2025-11-26T01:18:00+00:00", "0.1.0")
    assert [(test["outcome"], test["duration"], test["why"]) for test in run["tests"]] == [
        ("passed", 0.012, ""),
        ("failed", 0.012, "E  no"),
    ]
    assert [test["story"]["servers"] for test in run["tests"]] == [servers, []]
    assert run["tests"][0]["story"]["again"] == "pytest test_it.py::test_it --imds-seed=0"


def test_bodies_and_headers_are_kept_apart() -> None:
    """They are nine tenths of a page, and a page of ten thousand tests is read whole before it shows anything."""
    page = html(finished(server(exchange(reply="a needle in the reply"))))

    assert "needle" in str(told(page))
    assert "needle" not in page
    assert "peer" not in Parsed(page).texts["run"]


def test_nothing_that_a_test_has_sent_becomes_a_part_of_the_page() -> None:
    sent = exchange(target=HOSTILE, method=HOSTILE, faults=[HOSTILE], sent=[[HOSTILE, HOSTILE]], reply=HOSTILE)
    page = html(finished(server(sent, vm=HOSTILE, url=HOSTILE), node_id=HOSTILE, why=HOSTILE, outcome=HOSTILE))

    assert Parsed(page).elements == Parsed(html(finished())).elements
    (test,) = told(page)["tests"]
    assert (test["id"], test["why"], test["outcome"]) == (HOSTILE, HOSTILE, HOSTILE)
    (one,) = test["story"]["servers"]
    assert (one["vm"], one["exchanges"]) == (HOSTILE, [sent])


def test_the_page_loads_nothing() -> None:
    elements = Parsed(html(finished())).elements
    links = [value for _, attributes in elements for name, value in attributes.items() if name in ("src", "href")]

    assert links
    assert [link for link in links if not str(link).startswith("#")] == []
    assert {tag for tag, _ in elements}.isdisjoint({"link", "img", "iframe", "object", "base"})


def test_the_policy_allows_the_styles_and_the_script_of_the_page_alone() -> None:
    page = Parsed(html(finished()))
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    allowed = dict(part.strip().split(" ", 1) for part in str(policy).split(";"))

    assert allowed["default-src"] == "'none'"
    for part in ("style", "script"):
        digest = b64encode(sha256(page.texts[part].encode()).digest()).decode()
        assert allowed[f"{part}-src"] == f"'sha256-{digest}'"


def test_a_run_without_servers_has_a_page() -> None:
    assert told(html(others=2)) == {
        "version": "0.1.0",
        "made": "2025-11-26T01:18:00+00:00",
        "others": 2,
        "tests": [],
    }
