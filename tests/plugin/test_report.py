"""--imds-report: what the page has of a run, and where it cannot be written."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pytest_imds import reporting
from tests.plugin.conftest import Run
from tests.plugin.fleets import write
from tests.stories import told

OUTCOMES = """
    @pytest.fixture
    def spoilt(imds_server):
        yield
        raise RuntimeError("spoilt")

    @pytest.fixture
    def refused(imds_server):
        raise RuntimeError("refused")

    def test_passed(imds_server, imds_vm):
        imds_vm.name = 5

    def test_failed(imds_server):
        assert get(imds_server, VM_ID)[0] == 410

    def test_error_before(refused):
        pass

    def test_error_after(spoilt):
        pass

    def test_failed_and_error(spoilt):
        assert False

    def test_skipped(imds_server):
        pytest.skip("not today")

    @pytest.mark.xfail(reason="not yet")
    def test_xfailed(imds_server):
        assert False

    @pytest.mark.xfail(reason="by now", strict=False)
    def test_xpassed(imds_server):
        pass

    def test_without_a_server():
        pass

    @pytest.mark.skip
    def test_that_never_had_one(imds_server):
        pass
"""
TRAFFIC = """
    import time
    import urllib.request

    @pytest.mark.imds_fault("gone", window=70)
    @pytest.mark.imds_fault("throttled", requests=9, after=9, required=False)
    def test_waits(imds_server, imds_clock):
        while get(imds_server, VM_ID)[0] == 410:
            time.sleep(10)

    def test_several(imds_server, make_imds_server):
        other = make_imds_server("windows")
        get(other, VM_ID)

    def test_many(imds_server):
        for number in range(203):
            get(imds_server, f"{VM_ID}&number={number}")

    def test_bodies(imds_server):
        for body in (b"\\xff" * 40, "\\u00e4 ".encode() * 9000, b"a word " * 1000, b"eyJhbGciOi" + b"x" * 500):
            imds_server.expect_oneshot_request("/own").respond_with_data(body)
            token = {"Authorization": "Bearer eyJhbGciOi" + "x" * 500}
            asked = urllib.request.Request(f"{imds_server.url}/own", headers=token)
            urllib.request.urlopen(asked, timeout=5).read()
"""


def page(pytester: pytest.Pytester) -> str:
    return (pytester.path / "report.html").read_text(encoding="utf-8")


def by_name(pytester: pytest.Pytester) -> dict[str, Any]:
    """Return what the page has of each test, by the test's name."""
    return {test["id"].partition("::")[2]: test for test in told(page(pytester))["tests"]}


def test_each_outcome_is_told(pytester: pytest.Pytester, run: Run) -> None:
    write(pytester, OUTCOMES)
    result = run("--imds-report=report.html")
    result.stdout.fnmatch_lines([f"*- IMDS report: {pytester.path / 'report.html'} -*"])
    shown = by_name(pytester)

    assert {name: test["outcome"] for name, test in shown.items()} == {
        "test_passed": "passed",
        "test_failed": "failed",
        "test_error_before": "error",
        "test_error_after": "error",
        "test_failed_and_error": "failed",
        "test_skipped": "skipped",
        "test_xfailed": "xfailed",
        "test_xpassed": "xpassed",
    }
    assert told(page(pytester))["others"] == 2
    for name, words in {
        "test_failed": ["200 == 410"],
        "test_error_before": ["refused"],
        "test_failed_and_error": ["assert False", "spoilt"],
        "test_skipped": ["not today"],
        "test_xfailed": ["assert False"],
        "test_xpassed": ["by now"],
    }.items():
        assert [word for word in words if word not in shown[name]["why"]] == []
    assert shown["test_passed"]["why"] == ""
    assert shown["test_passed"]["story"]["servers"][0]["vm"] == "5"
    assert shown["test_passed"]["story"]["again"] == "pytest test_it.py::test_passed --imds-seed=0"
    assert all(0 < test["duration"] < 10 for test in shown.values())


def test_requests_faults_and_skipped_time_are_told(pytester: pytest.Pytester, run: Run) -> None:
    write(pytester, TRAFFIC)
    run("--imds-report=report.html").assert_outcomes(passed=4)
    shown = {name: test["story"]["servers"] for name, test in by_name(pytester).items()}

    (waits,) = shown["test_waits"]
    asked = waits["exchanges"]
    assert [one["status"] for one in asked] == [410] * 7 + [200]
    assert [one["faults"] for one in asked] == [["gone"]] * 7 + [[]]
    assert [round(one["at"], -1) for one in asked] == [*range(0, 80, 10)]
    assert all(0 <= one["took"] < 5 for one in asked)
    assert dict(asked[0]["sent"])["metadata"] == "true"
    assert dict(asked[0]["got"])["content-type"].startswith("application/json")
    gone, throttled = sorted(waits["windows"], key=lambda window: window["told"])
    assert (gone["told"], round(gone["end"] - gone["begin"], 3), gone["hits"]) == ("gone(window=70)", 70, 7)
    assert (throttled["begin"], throttled["end"], throttled["hits"]) == (None, None, 0)
    assert 69 < sum(seconds for _, seconds in waits["jumps"]) < 71
    assert 70 <= waits["duration"] < 75

    assert [one["profile"] for one in shown["test_several"]] == ["linux", "windows"]
    assert [len(one["exchanges"]) for one in shown["test_several"]] == [0, 1]

    (many,) = shown["test_many"]
    assert (many["dropped"], [one["n"] for one in many["exchanges"]]) == (3, [*range(4, 204)])
    assert many["exchanges"][0]["target"].endswith("&number=3")

    assert waits["findings"] == []
    (rate,) = many["findings"]
    assert re.fullmatch(r"rate: .* \(requests \d+(, \d+){4} and \d+ more\)", rate)

    (bodies,) = shown["test_bodies"]
    replies = [one["reply"] for one in bodies["exchanges"]]
    assert replies[0] == f"40 bytes that are no text: {' '.join(['ff'] * 32)}…"
    assert re.fullmatch("(ä ){1000}….*", replies[1])
    assert replies[2].startswith("a word a word")
    assert len(replies[2]) < 2100
    assert replies[3].startswith("eyJ")
    assert len(replies[3]) < 100
    assert bodies["exchanges"][2]["bytes"] == 7000
    assert dict(bodies["exchanges"][0]["sent"])["authorization"] == "Bearer eyJhbGciOixx… (510 characters)"


def test_what_pytest_says_is_cut_at_its_beginning(pytester: pytest.Pytester, run: Run) -> None:
    source = """
    def test_it(imds_server):
        raise RuntimeError("so it goes on " * 2000 + "eyJhbGciOi" + "x" * 500)
    """
    write(pytester, source)
    run("--imds-report=report.html").assert_outcomes(failed=1)
    why = by_name(pytester)["test_it"]["why"]
    assert len(why) == reporting.KEPT_CHARACTERS + 1
    assert why.startswith("…")
    assert why.endswith("RuntimeError")
    assert "eyJhbGciOixx… (510 characters)" in why


def test_stories_are_not_kept_beside_the_page(pytester: pytest.Pytester, run: Run) -> None:
    """Pytest keeps every report to the end of the run."""
    write(pytester, OUTCOMES)
    pytester.makeconftest(
        """
        def pytest_terminal_summary(terminalreporter):
            reports = [report for reports in terminalreporter.stats.values() for report in reports]
            kept = [report for report in reports if hasattr(report, "imds_story")]
            print(f"kept {len(kept)} of {len(reports)}")
        """
    )
    run("--imds-report=report.html").stdout.re_match_lines([r"kept 0 of \d\d"])


def test_of_a_test_that_is_run_again_the_last_time_is_told(pytester: pytest.Pytester, run: Run) -> None:
    source = """
    def test_it(imds_server, tries=[]):
        tries.append(1)
        get(imds_server, VM_ID)
        assert len(tries) == 2
    """
    write(pytester, source)
    pytester.makeconftest(
        """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            for _ in range(2):
                item._initrequest()
                runtestprotocol(item, nextitem=nextitem)
            return True
        """
    )
    run("--imds-report=report.html")
    (shown,) = told(page(pytester))["tests"]
    assert (shown["outcome"], shown["why"]) == ("passed", "")


def test_the_tests_of_a_file_stay_together(pytester: pytest.Pytester, run: Run) -> None:
    """Workers send them in any order."""
    source = "def test_1(imds_server): pass\ndef test_2(imds_server): pass"
    pytester.makepyfile(test_b=source, test_a=source)
    order = ["test_b.py::test_2", "test_a.py::test_1", "test_b.py::test_1", "test_a.py::test_2"]
    run("--imds-report=report.html", *order).assert_outcomes(passed=4)
    shown = [test["id"] for test in told(page(pytester))["tests"]]
    assert shown == ["test_a.py::test_1", "test_a.py::test_2", "test_b.py::test_2", "test_b.py::test_1"]


def test_the_page_is_where_the_run_began(pytester: pytest.Pytester, run: Run) -> None:
    write(pytester, "    def test_it(imds_server, monkeypatch, tmp_path):\n        monkeypatch.chdir(tmp_path)\n")
    run("--imds-report=report.HTML").assert_outcomes(passed=1)
    assert (pytester.path / "report.HTML").is_file()


def test_a_page_that_can_no_longer_be_written_is_told(pytester: pytest.Pytester, run: Run) -> None:
    source = """
    def test_it(imds_server, pytestconfig):
        (pytestconfig.rootpath / "gone").rmdir()
    """
    write(pytester, source)
    pytester.mkdir("gone")
    result = run("--imds-report=gone/report.html")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*- IMDS report: not written: *No such file*report.html' -*"])


def test_a_run_that_only_collects_leaves_the_page_as_it_is(pytester: pytest.Pytester, run: Run) -> None:
    write(pytester, OUTCOMES)
    (pytester.path / "report.html").write_text("that of the run before")
    run("--imds-report=report.html", "--collect-only")
    assert page(pytester) == "that of the run before"


def test_without_the_option_nothing_is_gathered(pytester: pytest.Pytester, run: Run) -> None:
    write(pytester, OUTCOMES)
    result = run()
    assert "IMDS report" not in result.stdout.str()
    assert not (pytester.path / "report.html").exists()


@pytest.mark.parametrize(
    ("named", "problem", "right"),
    [
        ("report.txt", "that is no name of a page", "a file that ends in .html"),
        ("nowhere/report.html", "there is no folder *nowhere", "a file in a folder that exists"),
        ("folder.html", "it cannot be written", "a file that may be written, *"),
    ],
)
def test_a_page_that_cannot_be_written_is_refused_before_the_run(
    named: str, problem: str, right: str, pytester: pytest.Pytester, run: Run
) -> None:
    write(pytester, OUTCOMES)
    pytester.mkdir("folder.html")
    result = run(f"--imds-report={named}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: the option --imds-report cannot be '{named}': {problem}*", f"  right: {right}"]
    )
    assert "passed" not in result.stdout.str()
