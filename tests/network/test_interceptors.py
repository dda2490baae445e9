"""Libraries that answer before a request gets to a socket: a failure says what to do, and doing that helps."""

from __future__ import annotations

from typing import NamedTuple

# An inner run forgets the modules that it is the first to import; these take long.
import httpretty  # type: ignore[import-untyped]  # noqa: F401
import httpx  # noqa: F401
import pytest
import requests  # noqa: F401
import requests_mock  # noqa: F401
import responses  # noqa: F401
import respx  # noqa: F401
import vcr  # type: ignore[import-untyped]  # noqa: F401

from pytest_imds import interceptors
from tests.plugin.conftest import Run

CLIENTS = """
import pytest

URL = "http://169.254.169.254/metadata/instance/compute/name?api-version=2021-02-01&format=text"
HEADERS = {"Metadata": "true"}

def with_requests():
    import requests
    return requests.get(URL, headers=HEADERS, timeout=5).text

def with_httpx():
    import httpx
    return httpx.get(URL, headers=HEADERS, timeout=5, verify=False).text

def with_urllib():
    from urllib.request import Request, urlopen
    with urlopen(Request(URL, headers=HEADERS), timeout=5) as reply:
        return reply.read().decode()

"""
TEST = """
def test_{name}(imds_redirect, imds_vm):
    {block}
        {statement}
        assert {client}() == imds_vm.name
    assert [request.host for request, _ in imds_redirect.log] == ["169.254.169.254"]
"""
CASSETTE = "interactions: []\nversion: 1\n"


class Way(NamedTuple):
    """How a library is used so that it refuses what it does not know, and then so that it lets IMDS pass."""

    client: str
    refuses: str
    passes: tuple[str, ...] = ("{passes}",)
    statement: str = ""


WAYS = {
    "responses": Way("with_requests", "responses.RequestsMock()", ("responses.mock",), "{passes}"),
    "requests_mock": Way("with_requests", "requests_mock.Mocker()"),
    "respx": Way("with_httpx", "respx.mock", ("respx.mock",), "{passes}"),
    "vcr": Way(
        "with_requests",
        "vcr.use_cassette('known.yaml')",
        ("vcr.use_cassette('known.yaml', {passes})", "vcr.VCR({passes}).use_cassette('known.yaml')"),
    ),
    # With a client that keeps its connection, it waits until the server closes that.
    "httpretty": Way("with_urllib", "httpretty.enabled(allow_net_connect=False)"),
}


def passes(library: str) -> str:
    """What to write in the code, as the data has it."""
    return str(interceptors.known()[library]["passes"]).partition(", an argument of")[0]


def written(library: str) -> str:
    """A test where the library refuses, and one for each way in which it lets pass."""
    way, text = WAYS[library], passes(library)
    tests = [TEST.format(name="refused", block=f"with {way.refuses}:", statement="", client=way.client)]
    tests += [
        TEST.format(
            name=f"passes_{number}",
            block=f"with {block.format(passes=text)}:",
            statement=way.statement.format(passes=text),
            client=way.client,
        )
        for number, block in enumerate(way.passes)
    ]
    return "\n".join([f"import {library}", CLIENTS, *tests])


@pytest.mark.parametrize("library", WAYS)
def test_a_failure_says_how_to_let_the_request_pass_and_so_it_passes(
    library: str, pytester: pytest.Pytester, run: Run
) -> None:
    row = interceptors.known()[library]
    (pytester.path / "known.yaml").write_text(CASSETTE, encoding="utf-8")
    pytester.makepyfile(written(library))

    result = run("-W", "ignore::DeprecationWarning")

    result.assert_outcomes(passed=len(WAYS[library].passes), failed=1)
    told = " ".join(line.strip() for line in result.outlines)
    hint = f"{row['library']} has answered in the place of IMDS. To let those to IMDS pass: {row['passes']}"
    assert f"hint: {hint} again: pytest " in told


def test_vcrpy_lets_pass_what_it_records(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        "import vcr"
        + CLIENTS
        + TEST.format(name="records", block="with vcr.use_cassette('new.yaml'):", statement="", client="with_requests")
    )
    run("-W", "ignore::DeprecationWarning").assert_outcomes(passed=1)
    assert "/metadata/instance/compute/name" in (pytester.path / "new.yaml").read_text(encoding="utf-8")


def test_httpretty_lets_pass_unless_it_is_told_not_to(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        "import httpretty"
        + CLIENTS
        + TEST.format(name="passes", block="with httpretty.enabled():", statement="", client="with_urllib")
    )
    run("-W", "ignore::DeprecationWarning").assert_outcomes(passed=1)


def test_a_failure_that_no_library_has_a_part_in_has_no_hint(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        "import responses"
        + CLIENTS
        + TEST.format(name="fails", block="if True:", statement="assert False", client="with_requests")
    )

    result = run()

    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("hint: *")


def test_every_library_of_the_data_is_tested() -> None:
    assert {*WAYS, "pytest_socket"} == {*interceptors.known()}  # that one is another kind: test_pytest_socket.py
