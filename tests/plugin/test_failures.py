"""The section "IMDS traffic" in the report of a test that failed, and the properties in files of results."""

from __future__ import annotations

import re
import textwrap
from xml.etree import ElementTree

import pytest

# An inner run forgets the modules that it is the first to import; these take long.
import requests  # noqa: F401
import responses  # noqa: F401

from tests.plugin.conftest import Run

CLIENT = """
import time
import urllib.request
import pytest

URL = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"

def ask(server, path=URL):
    request = urllib.request.Request(server.url + path, headers={"Metadata": "true"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as reply:
            return reply.read()
    except urllib.error.HTTPError as error:
        error.close()
"""


def write(pytester: pytest.Pytester, *tests: str) -> None:
    pytester.makepyfile(test_it="\n".join(map(textwrap.dedent, [CLIENT, *tests])))


def section(result: pytest.RunResult, number: int = 0) -> list[str]:
    """Return the lines of a section."""
    begins = [at for at, line in enumerate(result.outlines) if re.fullmatch("-+ IMDS traffic -+", line)]
    lines = result.outlines[begins[number] + 1 :]
    return lines[: next(at for at, line in enumerate(lines) if line.startswith("again: ")) + 1]


DRAINS = """
    @pytest.mark.imds_fault("gone", window=70)
    @pytest.mark.imds_fault("reset", path="/metadata/scheduledevents", required=False)
    def test_fails(imds_server, imds_clock):
        for _ in range(3):
            ask(imds_server)
            time.sleep(60)
        assert False
"""


def test_it_has_the_exchanges_on_the_test_s_clock_the_faults_and_how_to_have_it_again(
    pytester: pytest.Pytester, run: Run
) -> None:
    write(pytester, DRAINS)
    result = run("--imds-seed=9")
    result.assert_outcomes(failed=1)
    lines = section(result)

    assert lines[0].startswith("VM: profile linux, name ")
    assert lines[1] == "seed: '9:test_it.py::test_fails'"
    rows = [line.split() for line in lines if re.match(r"\s*\d+  ", line)]
    assert [(row[0], round(float(row[1]) / 60), row[2], row[4:]) for row in rows] == [
        ("1", 0, "GET", ["410", "gone"]),
        ("2", 1, "GET", ["410", "gone"]),
        ("3", 2, "GET", ["200"]),
    ]
    told = " ".join(line.strip() for line in lines)
    assert re.search(r"fault: gone\(window=70\) from 0\.\d{3} s to 70\.\d{3} s, hits: 2 ", told)
    assert re.search(r"fault: reset\(.*path='/metadata/scheduledevents', required=False\) has hit nothing ", told)
    assert lines[-1] == "again: pytest test_it.py::test_fails --imds-seed=9"


def test_it_fits_the_terminal(pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write(pytester, DRAINS)
    for columns in (60, 140):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = section(run())[2:-1]
        assert [line for line in lines if len(line) > columns] == []
        assert any("…" in line for line in lines) is (columns == 60)


TOKEN = """
    def test_fails(imds_server):
        assert not ask(imds_server, "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://x")
"""


@pytest.mark.parametrize("verbose", [False, True])
def test_bodies_are_for_those_who_ask_and_tokens_for_nobody(pytester: pytest.Pytester, run: Run, verbose: bool) -> None:
    write(pytester, TOKEN)
    lines = section(run(*(["-v"] if verbose else [])))
    told = "".join(line.removeprefix("      < ") for line in lines)
    assert (re.search(r'\{"access_token":"eyJ[^"]{9}… \(\d+ characters\)"', told) is not None) is verbose
    assert not re.search(r"eyJ[\w.-]{30}", told)


def test_success_has_no_section(pytester: pytest.Pytester, run: Run) -> None:
    write(pytester, "def test_passes(imds_server): ask(imds_server)")
    result = run("-rA", "-v", "--junitxml=report.xml")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*IMDS traffic*")
    assert list(ElementTree.parse(pytester.path / "report.xml").iter("property")) == []


def test_what_fails_when_the_test_ends_has_one(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
        @pytest.mark.imds_fault("gone", after=5)
        def test_passes_at_first(imds_server):
            ask(imds_server)
        """,
    )
    result = run("--junitxml=report.xml")
    result.assert_outcomes(passed=1, errors=1)
    assert any(line.startswith("1  ") for line in section(result))
    names = [one.get("name") for one in ElementTree.parse(pytester.path / "report.xml").iter("property")]
    assert names == ["imds_vm", "imds_seed", "imds_request", "imds_request", "imds_fault", "imds_again"]


def test_files_of_results_have_it_as_properties(pytester: pytest.Pytester, run: Run) -> None:
    write(pytester, DRAINS)
    run("-v", "--junitxml=report.xml").assert_outcomes(failed=1)
    found = [
        (one.get("name"), str(one.get("value")))
        for one in ElementTree.parse(pytester.path / "report.xml").iter("property")
    ]
    names = [name for name, _ in found]
    assert names == ["imds_vm", "imds_seed", *["imds_request"] * 4, *["imds_fault"] * 2, "imds_again"]
    told = dict(found)
    assert told["imds_vm"].startswith("VM: profile linux, name ")
    assert "GET /metadata/instance/compute/name?api-version=2021-02-01&format=text" in told["imds_request"]
    assert told["imds_again"] == "again: pytest test_it.py::test_fails --imds-seed=0"


def test_without_a_request_it_says_what_may_have_kept_them(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    write(
        pytester,
        """
        import requests
        import responses

        @responses.activate
        def test_mocked(imds_server):
            responses.get(imds_server.url, body="mocked")
            assert requests.get(imds_server.url).text != "mocked"

        @pytest.fixture
        def mocked():
            with responses.RequestsMock(assert_all_requests_are_fired=False):
                yield

        def test_mocked_by_a_fixture(imds_server, mocked):
            assert False

        def test_behind_a_proxy(imds_server, monkeypatch):
            monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
            assert False

        def test_redirected(imds_redirect, monkeypatch):
            monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
            assert False

        def test_asked(imds_server):
            ask(imds_server)
            assert False

        def test_audited(imds_audit):
            assert False
        """,
    )
    result = run("--imds-guard")
    result.assert_outcomes(failed=6)
    *told, audited = (" ".join(line.strip() for line in section(result, number)) for number in range(6))
    assert "no request has arrived." in audited
    assert "_proxy is " not in audited.lower()

    mocks = "- responses takes requests before they get to a socket. To let those to IMDS pass: responses.add_passthru("
    assert [mocks in one for one in told] == [True, True, False, False, False]
    proxy = r"- http_proxy is http://proxy\.example:3128, and NO_PROXY does not name 127\.0\.0\.1:\d+\. "
    assert [re.search(proxy, one) is not None for one in told] == [False, False, True, False, False]
    nowhere = "- nothing leads clients here that ask 169.254.169.254: the server is at http://127.0.0.1:"
    assert [nowhere in one for one in told] == [True, True, True, False, False]
    led = "- clients of this process that connect to 169.254.169.254 by Python's sockets are led here; "
    assert [led in one for one in told] == [False, False, False, True, False]
    assert ["no request has arrived." in one for one in told] == [True, True, True, True, False]


def test_a_library_that_only_wraps_the_test_has_no_part_in_its_error(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
        import responses

        @responses.activate
        def test_fails(imds_server):
            ask(imds_server)
            assert False
        """,
    )
    result = run()
    result.assert_outcomes(failed=1)
    assert not [line for line in section(result) if "responses" in line]


def test_without_a_terminal_it_has_a_width_too(pytester: pytest.Pytester, run: Run) -> None:
    write(pytester, DRAINS)
    run("-p", "no:terminal", "--junitxml=report.xml")
    assert "imds_again" in (pytester.path / "report.xml").read_text(encoding="utf-8")
