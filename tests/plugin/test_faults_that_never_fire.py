"""A fault that was planned and has broken nothing fails its test, unless the test has ended otherwise."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.plugin.conftest import Run
from tests.plugin.fleets import passes, write


def test_fault_that_never_fires_fails_the_test_and_lists_what_arrived(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
    @pytest.mark.imds_fault("gone", window=5, path="/metadata/identity/*")
    def test_never(imds_server):
        assert get(imds_server)[0] == get(imds_server, EVENTS)[0] == 200

    @pytest.mark.imds_fault("gone")
    def test_asks_nothing(): ...

    @pytest.mark.imds_fault("gone", after=25)
    def test_asks_often(imds_server):
        for number in range(25):
            get(imds_server, f"/metadata/{number}")

    @pytest.mark.imds_fault("gone", times=1)
    def test_next(imds_server):
        assert [get(imds_server)[0] for _ in range(2)] == [410, 200]
    """,
    )
    result = run()
    result.assert_outcomes(passed=4, errors=3)
    told = "never fired: this test has proved nothing about it."
    advice = "  if it need not fire: required=False"
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_never*",
            "1 problem inside the IMDS server during this test:",
            "",
            f"1. the fault gone(window=5, path='/metadata/identity/[*]') {told}",
            "  requests that arrived:",
            "    GET /metadata/instance/compute/vmId[?]api-version=2021-02-01&format=text",
            "    GET /metadata/scheduledevents[?]api-version=2020-07-01",
            advice,
        ],
        consecutive=True,
    )
    result.stdout.fnmatch_lines(
        [f"1. the fault gone(window=70) {told}", "  requests that arrived:", "    none", advice], consecutive=True
    )
    result.stdout.fnmatch_lines(
        [
            f"1. the fault gone(window=70, after=25) {told}",
            "  requests that arrived:",
            "    (5 more before these)",
            *(f"    GET /metadata/{number}" for number in range(5, 25)),
            advice,
        ],
        consecutive=True,
    )
    result.stdout.no_fnmatch_line("*plugin.py*")


def test_every_fault_that_never_fires_is_named(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
    from pytest_imds import Fault

    def fails(request):
        raise LookupError("no such thing")

    @pytest.mark.imds_fault("sequence", Fault("gone", times=1), Fault("not_found"))
    @pytest.mark.imds_fault("reset", path="/elsewhere")
    def test_it(imds_server, imds_faults, make_imds_server):
        imds_faults.refused(after=100)
        make_imds_server().faults.server_error(503)
        imds_server.expect_request("/fails").respond_with_handler(fails)
        assert [get(imds_server, target)[0] for target in (VM_ID, "/fails")] == [410, 500]
    """,
    )
    result = run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "5 problems inside the IMDS server during this test:",
            "1. while it answered GET /fails:",
            "2. the fault reset(after_bytes=0, path='/elsewhere') never fired*",
            "3. the fault not_found() never fired*",
            "4. the fault refused(after=100) never fired*",
            "5. the fault server_error(status=503) never fired*",
            "    none",
        ]
    )


def test_fault_that_need_not_fire_may_be_idle(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    @pytest.mark.imds_fault("gone", required=False, path="/metadata/identity/*")
    def test_it(imds_server, imds_faults):
        imds_faults.refused(after=100, required=False)
        assert get(imds_server)[0] == 200
    """,
    )


def test_fault_that_was_cleared_is_still_asked_for(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
    @pytest.mark.imds_fault("gone")
    def test_it(imds_server, imds_faults):
        imds_faults.clear()
        assert get(imds_server)[0] == 200
    """,
    )
    result = run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["1. the fault gone(window=70) never fired*"])


# How a test may end by itself: the test, and what becomes of it.
ENDS = [
    ("def test_fails(imds_server): assert False, 'mine'", "failed"),
    ("def test_skips(imds_server): pytest.skip('mine')", "skipped"),
    ("@pytest.mark.xfail\ndef test_is_expected_to_fail(imds_server): assert False", "xfailed"),
    ("@pytest.mark.xfail(strict=True)\ndef test_passes_though_that_is_wrong(imds_server): ...", "failed"),
    ("@pytest.mark.skip\ndef test_is_skipped(imds_server): ...", "skipped"),
    ("@pytest.fixture\ndef skips(imds_server): pytest.skip()\ndef test_is_skipped_by_a_fixture(skips): ...", "skipped"),
    ("@pytest.fixture\ndef fails(imds_server): 1 / 0\ndef test_fails_in_a_fixture(fails): ...", "errors"),
    ("@pytest.fixture\ndef early(): 1 / 0\ndef test_fails_before_it_has_a_server(early, imds_server): ...", "errors"),
    (
        "@pytest.mark.imds_fault('gone', window=0)\nclass TestIt:\n    @pytest.mark.imds_fault('gone')\n"
        "    def test_fails_in_the_marker_of_another_fault(self): ...",
        "errors",
    ),
]


def test_a_test_that_ends_by_itself_is_not_asked(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        "\n".join(["import pytest\npytestmark = pytest.mark.imds_fault('gone')", *(end[0] for end in ENDS)])
    )
    result = run()
    result.stdout.no_fnmatch_line("*never fired*")
    result.assert_outcomes(**Counter(end[1] for end in ENDS))
