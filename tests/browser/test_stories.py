"""The page in a browser, with stories that no run needs to be made for: hostile, odd, many."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pytest_imds.report.page import Finished
from tests.browser.reader import Reader
from tests.every import every
from tests.stories import BODY, exchange, finished, html, server

HOSTILE = "</script><img src=x onerror='document.title=1'><svg onload='document.title=1'>{{script}}\u2028"
MANY = 10_000
AT_MOST_S = 3.0


def write(folder: Path, *tests: Finished) -> Path:
    page = folder / "report.html"
    page.write_text(html(*tests), encoding="utf-8")
    return page


def test_what_a_client_has_sent_is_shown_and_never_run(reader: Reader, tmp_path: Path) -> None:
    sent = exchange(
        method=HOSTILE, target=HOSTILE, faults=[HOSTILE], sent=[[HOSTILE, HOSTILE]], got=[[HOSTILE, HOSTILE]],
        body=HOSTILE, reply=HOSTILE, peer=HOSTILE,
    )  # fmt: skip
    window = {"told": HOSTILE, "begin": 0, "end": None, "hits": 1}
    hostile = server(sent, vm=HOSTILE, url=HOSTILE, windows=[window], findings=[HOSTILE])
    reader.open(write(tmp_path, finished(hostile, node_id=HOSTILE, why=HOSTILE)))
    row = reader.expand(HOSTILE.strip())
    row.find_element("css selector", ".request").click()
    reader.settle()
    for shown in (row, reader.one("#exchange")):
        assert "<img src=x onerror=" in shown.text
    assert reader.driver.title == "IMDS report"
    assert reader.all("img, [onload], [onerror]") == []


def test_ten_thousand_tests_are_there_within_three_seconds(reader: Reader, tmp_path: Path) -> None:
    tests = [
        finished(
            server(*(exchange(n, reply=BODY * 10) for n in range(1, 4))),
            node_id=f"tests/test_{number // 100}.py::test_it[{number}]",
            outcome="passed" if number % 100 else "failed",
        )
        for number in range(MANY)
    ]
    page = write(tmp_path, *tests)
    began = time.perf_counter()
    reader.open(page)
    assert reader.all(".test .timeline .mark")
    reader.one('[data-outcome="failed"]').click()
    assert reader.text("#shown") == "100 of 10,000 tests"
    took = time.perf_counter() - began
    assert took < AT_MOST_S
    assert len(reader.all(".test")) == MANY
    laid_out = "return [...document.querySelectorAll('.test')].at(-1).checkVisibility({ contentVisibilityAuto: true })"
    reader.one("#clear").click()
    assert not reader.script(laid_out)


def test_a_run_without_servers_says_so(reader: Reader, tmp_path: Path) -> None:
    reader.open(write(tmp_path))
    assert reader.text("#none") == "No test of this run had an IMDS server."


def test_what_is_missing_is_told(reader: Reader, tmp_path: Path) -> None:
    never = {"told": "gone(window=70)", "begin": None, "end": None, "hits": 0}
    told = [
        finished(
            server(exchange(201), dropped=200, windows=[never], findings=["a rule is broken"]), node_id="it::long"
        ),
        finished(server(), node_id="it::idle"),
    ]
    reader.open(write(tmp_path, *told))
    long = reader.expand("long").text
    assert "The first 200 requests to this server are left out." in long
    assert "gone(window=70) never began." in long
    assert "a rule is broken" in long
    assert "No request came to this server." in reader.expand("idle").text


def test_requests_at_one_moment_stay_apart(reader: Reader, tmp_path: Path) -> None:
    at_once = [exchange(n, at=1 + n / 1000) for n in range(1, 5)]
    reader.open(write(tmp_path, finished(server(*at_once, exchange(5, at=70)), node_id="it::dense")))
    reader.driver.execute_script("scrollTo(0, 0)")
    row = reader.expand("dense")
    for number, mark in enumerate(row.find_elements("css selector", "section .mark"), 1):
        mark.click()
        reader.settle()
        assert reader.text(".tools p") == f"Request {number} of 5"


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])
def test_what_is_worse_is_not_covered(closed: bool, reader: Reader, tmp_path: Path) -> None:
    statuses = [500, None, 200, 410]
    mixed = [exchange(n, at=1, status=status) for n, status in enumerate(statuses, 1)]
    reader.open(write(tmp_path, finished(server(*mixed), node_id="it::mixed")))
    marks = reader.row("mixed").find_elements("css selector", ".head .mark")
    assert [mark.get_attribute("href") for mark in marks] == ["#ok", "#refused", "#failed", "#unanswered"]


@every(
    ("written", "shown"),
    [
        ("plain {text}", "plain {text}"),
        ("", ""),
        ('{"a":1,"b":[]}', '{\n  "a": 1,\n  "b": []\n}'),
        ('[{"a":"x, \\"y\\": {"},2]', '[\n  {\n    "a": "x, \\"y\\": {"\n  },\n  2\n]'),
        ('{"cut":"in the mid', '{\n  "cut": "in the mid'),
        ('{"a": 1.0, "a": 1e5}', '{\n  "a": 1.0,\n  "a": 1e5\n}'),
    ],
)
def test_json_is_shown_in_lines_with_its_tokens_as_they_are(
    written: str, shown: str, reader: Reader, tmp_path: Path
) -> None:
    reader.open(write(tmp_path))
    assert reader.driver.execute_script("return indented(arguments[0])", written) == shown
