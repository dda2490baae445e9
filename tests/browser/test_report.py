"""The page about a run, in a browser: what it shows of a real run, and how it is used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.reader import CONTRAST, NAMES, Keys, Reader
from tests.every import every

SERVICED = "test_survives_the_servicing_of_its_host"
FLEET = "test_all_members_see_the_event"


@pytest.fixture
def opened(reader: Reader, report: Path) -> Reader:
    reader.open(report)
    return reader


def test_each_test_with_a_server_has_a_row_and_a_timeline(opened: Reader) -> None:
    assert len(opened.shown()) == 11
    assert "11 tests with a server, 1 without" in opened.text("#summary")
    assert opened.text("#shown") == "11 tests"
    row = opened.row(SERVICED)
    assert row.find_element("css selector", ".badge").text == "passed"
    told = row.find_element("css selector", ".facts").text
    assert re.fullmatch(r"test_outages\.py · 8 requests · gone · 7\d(\.\d)? s", told)
    picture = row.find_element("css selector", ".picture svg")
    told = picture.get_attribute("aria-label")
    assert re.fullmatch(r"Timeline of 7\S* s, 8 requests, 7 times 410, 1 times 200, gone\(window=70\)", told)
    assert len(picture.find_elements("css selector", ".mark.refused")) == 7
    assert len(picture.find_elements("css selector", ".ring")) == 7
    assert len(picture.find_elements("css selector", ".window")) == 1
    assert picture.find_elements("css selector", ".asleep")


def test_a_row_has_one_lane_for_each_server(opened: Reader) -> None:
    assert len(opened.row(FLEET).find_elements("css selector", ".picture .time")) == 3
    row = opened.expand(FLEET)
    assert len(row.find_elements("css selector", "section .timeline")) == 3
    assert len(row.find_elements("css selector", "section tbody tr")) == 6


def test_outcomes_filter(opened: Reader) -> None:
    opened.one('[data-outcome="failed"]').click()
    assert opened.shown() == ["test_gives_up_in_time"]
    assert opened.text("#shown") == "1 of 11 tests"
    opened.one('[data-outcome="error"]').click()
    assert set(opened.shown()) == {"test_gives_up_in_time", "test_leaves_nothing"}
    opened.one('[data-outcome="failed"]').click()
    assert opened.shown() == ["test_leaves_nothing"]
    opened.one("#clear").click()
    assert len(opened.shown()) == 11
    assert {one.get_attribute("aria-pressed") for one in opened.all("#outcomes button")} == {"false"}


def test_faults_filter(opened: Reader) -> None:
    options = [option.text for option in opened.all("#fault option")]
    assert options == [
        "any or none", "blackhole (1)", "gone (1)", "latency (1)", "not_found (1)", "reset (1)", "server_error (1)",
        "throttled (1)",
    ]  # fmt: skip
    opened.choose("gone")
    assert opened.shown() == [SERVICED]
    opened.choose("throttled")
    assert opened.shown() == ["test_backs_off_and_waits"]


def test_paths_filter(opened: Reader) -> None:
    opened.one("#path").send_keys("/metadata/SCHEDULED")
    assert set(opened.shown()) == {FLEET, "test_backs_off_and_waits", "test_leaves_nothing"}
    opened.choose("latency")
    assert opened.shown() == ["test_backs_off_and_waits"]
    opened.one("#path").send_keys("nowhere")
    assert (opened.shown(), opened.text("#shown")) == ([], "0 of 11 tests")
    assert opened.text("#none").startswith("No test is like that")
    opened.one("#clear").click()
    assert len(opened.shown()) == 11
    assert [opened.one(f"#{one}").get_attribute("value") for one in ("fault", "path")] == ["", ""]


def test_a_click_on_a_mark_shows_the_exchange(opened: Reader) -> None:
    opened.row(SERVICED).find_elements("css selector", ".picture .refused")[-1].click()
    opened.settle()
    assert opened.text("#line") == "410 GET /metadata/instance?api-version=2021-02-01"
    panel = opened.text("#exchange")
    for told in (
        "Request 7 of 8",
        "gone",
        "user-agent",
        "python-requests",
        "metadata\ntrue",
        "content-type",
        '"error"',
    ):
        assert told in panel
    assert opened.row(SERVICED).find_element("css selector", "tr[aria-current] td").text == "7"


def test_a_click_on_a_line_of_the_list_shows_the_exchange(opened: Reader) -> None:
    row = opened.expand(SERVICED)
    row.find_elements("css selector", "tbody tr")[7].click()
    opened.settle()
    assert opened.text("#line").startswith("200 ")
    assert '"compute": {\n' in opened.text("#exchange")
    opened.one("#exchange [aria-label='Request before']").click()
    opened.settle()
    assert opened.text("#line").startswith("410 ")
    opened.one("#close").click()
    assert not opened.one("#exchange").is_displayed()
    assert opened.focused() == row.find_elements("css selector", ".request")[7]


def test_the_keyboard_does_it_all(opened: Reader) -> None:
    name = opened.row(SERVICED).find_element("css selector", ".name")
    opened.one("#path").click()
    for _ in range(2 + opened.shown().index(SERVICED)):  # past "Clear"
        opened.press(Keys.TAB)
    assert opened.focused() == name
    opened.press(Keys.ENTER)
    assert name.get_attribute("aria-expanded") == "true"
    opened.press(Keys.TAB)
    assert opened.focused().get_attribute("aria-label").startswith("1: GET /metadata/instance")
    opened.press(Keys.ARROW_RIGHT)
    opened.press(Keys.ARROW_RIGHT)
    assert opened.focused().get_attribute("aria-label").startswith("3: GET ")
    opened.press(Keys.END)
    assert opened.focused().get_attribute("aria-label").startswith("8: GET ")
    mark = opened.focused()
    opened.press(Keys.ENTER)
    assert opened.focused() == opened.one("#line")
    assert opened.text("#line").startswith("200 ")
    assert "Request 8: GET " in opened.one("#said").get_attribute("textContent")
    opened.press(Keys.ARROW_LEFT)
    assert opened.text("#line").startswith("410 ")
    opened.press(Keys.ESCAPE)
    assert not opened.one("#exchange").is_displayed()
    assert opened.focused() == mark
    opened.press(Keys.TAB)  # the marks of a timeline are one stop: next is the list
    assert opened.focused() == opened.row(SERVICED).find_element("css selector", ".request")
    opened.press(Keys.SHIFT, Keys.TAB)
    assert opened.focused() == mark
    opened.press(Keys.TAB)
    opened.press(Keys.ARROW_DOWN)
    assert opened.focused() == opened.row(SERVICED).find_elements("css selector", ".request")[1]


def test_what_is_closed_before_it_was_read_stays_closed(opened: Reader) -> None:
    opened.expand(SERVICED)
    hidden = opened.driver.execute_async_script(
        "const done = arguments[0];"
        "document.querySelector('.request').click();"
        "const { test } = current;"
        "document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));"
        "whole(test).then(() => setTimeout(() => done(panel.hidden)));"
    )
    assert hidden


def test_what_went_wrong_and_how_to_have_it_again_is_shown(opened: Reader) -> None:
    row = opened.expand("test_gives_up_in_time")
    assert "ReadTimeout" in row.find_element("css selector", ".why").text
    again = row.find_element("css selector", ".again code").text
    assert again == "pytest test_outages.py::test_gives_up_in_time --imds-seed=0"
    opened.one('[data-outcome="passed"]').click()
    opened.one("#clear").click()
    opened.expand("test_gives_up_in_time")
    assert not row.find_elements("css selector", ".why")


def expand_all(reader: Reader) -> None:
    """Open all that can be opened, an exchange too."""
    reader.script("for (const one of document.querySelectorAll('.name')) one.click()")
    reader.script("document.querySelector('.request').click()")
    reader.settle()


def test_whatever_can_be_used_has_a_name(opened: Reader) -> None:
    expand_all(opened)
    names = opened.script(NAMES)
    assert len(names) > 80
    assert [html for html, name in names if not name] == []


def test_texts_are_readable_in_light_and_dark(reader: Reader, report: Path) -> None:
    backgrounds = set()
    for scheme in ("light", "dark"):
        reader.open(report, scheme=scheme)
        expand_all(reader)
        for outcome in ("failed", "passed"):  # what is pressed looks different, and hides the others
            count, faint = reader.script(CONTRAST)
            assert count > 50
            assert faint == []
            reader.one(f'[data-outcome="{outcome}"]').click()
        backgrounds.add(reader.script("return getComputedStyle(document.documentElement).backgroundColor"))
    assert len(backgrounds) == 2


def test_nothing_stands_out_of_a_narrow_window(reader: Reader, report: Path) -> None:
    reader.open(report, width=360)
    expand_all(reader)
    assert reader.script("return document.documentElement.scrollWidth") <= 360


@every(
    ("seconds", "told"),
    [
        (0, "0 s"), (0.0004, "<1 ms"), (0.0123, "12 ms"), (0.99949, "999 ms"), (0.9996, "1 s"), (1.25, "1.25 s"),
        (70, "70 s"), (119.4, "119.4 s"), (119.6, "2 min"), (185, "3 min 5 s"), (3599.6, "60 min"), (7260, "2 h 1 min"),
        (172800, "2 d"), (31_557_600, "365 d 6 h"),
    ],
)  # fmt: skip
def test_times_are_told_in_the_unit_that_fits(seconds: float, told: str, opened: Reader) -> None:
    assert opened.script(f"return duration({seconds})") == told
