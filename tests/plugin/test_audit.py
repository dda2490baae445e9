"""The fixture imds_audit, the options of the marker imds and of the ini file: what fails, what warns, what it says."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Run

CLIENT = """
import pytest
import requests

from pytest_imds import Audit, ImdsAuditWarning

def ask(server, path="/metadata/versions", headers={"Metadata": "true"}, **options):
    with requests.Session() as session:
        session.trust_env = False
        return session.get(f"{server.url}{path}", headers=headers, timeout=5, **options)

def break_two(server):
    '''Break metadata-header, which is an error, and rate, which is a warning.'''
    ask(server, headers={})
    for _ in range(5):
        ask(server)
"""
LENIENT = ("-W", "default::pytest_imds.ImdsAuditWarning")


def test_an_error_fails_the_test_when_it_ends_and_a_warning_warns(pytester: pytest.Pytester, run: Run) -> None:
    path = pytester.makepyfile(
        CLIENT
        + """
def test_it(imds_audit, imds_server):
    break_two(imds_server)
    assert isinstance(imds_audit, Audit)
    assert [finding.rule for finding in imds_audit.findings] == ["metadata-header", "rate"]
"""
    )
    result = run(*LENIENT)
    result.assert_outcomes(passed=1, errors=1, warnings=1)
    result.stdout.fnmatch_lines(
        [
            "the clients of this test broke a rule of IMDS for its callers:",
            "1. metadata-header: Every request has the header Metadata: true.",
            "  no header Metadata:",
            "    1. GET /metadata/versions (0.* s: 400)",
            "  change: send the header Metadata: true with every request",
            "  source: MicrosoftDocs/azure-compute-docs, instance-metadata-service.md, *",
            '  to leave the rule out: @pytest.mark.imds(ignore=[[]"metadata-header"[]])',
        ]
    )
    line = path.read_text(encoding="utf-8").splitlines().index("def test_it(imds_audit, imds_server):") + 1
    result.stdout.fnmatch_lines(
        [f"*{path.name}:{line}: ImdsAuditWarning: rate: A VM *", "    as many as 6 in a second; 5 are answered:"]
    )
    # Where the plugin raises it tells the user nothing.
    result.stdout.no_fnmatch_line("*plugin.py*")


def test_warnings_may_be_errors_and_all_are_in_one_message(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(CLIENT + "def test_it(imds_audit, imds_server): break_two(imds_server)")
    result = run()  # strictly
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*broke 2 rules of IMDS*", "1. metadata-header: *", "2. rate: *"])


def test_warnings_are_filtered_by_their_class(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        CLIENT
        + """
@pytest.mark.filterwarnings("ignore::pytest_imds.ImdsAuditWarning")
@pytest.mark.imds(ignore="metadata-header")
def test_it(imds_audit, imds_server):
    break_two(imds_server)
"""
    )
    run().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marks", "broken"),
    [
        ("imds(audit=True)", ["metadata-header", "(rate)"]),
        ('imds(audit=["rate"])', ["rate"]),
        ('imds(audit="rate")', ["rate"]),
        ('imds(audit=("rate", "metadata-header"))', ["metadata-header", "rate"]),
        ('imds(audit=["rate", "metadata-header"], ignore=["rate"])', ["metadata-header"]),
        ('imds(audit=True, ignore=["metadata-header"])', ["(rate)"]),
        ('imds(audit=["no-retry", "nonce"])', []),
        ("imds(audit=False)", []),
        ("imds(audit=None)", []),
        ('imds(newest="2021-02-01")', []),
        ('imds(ignore=["rate"])', []),
        ("imds(audit=True)\n@pytest.mark.imds(audit=False)", []),
        ("imds(audit=False)\n@pytest.mark.imds(audit=True)", ["metadata-header", "(rate)"]),
    ],
)
def test_the_marker_says_which_rules_and_the_nearest_wins(
    pytester: pytest.Pytester, run: Run, marks: str, broken: list[str]
) -> None:
    pytester.makepyfile(f"{CLIENT}\n@pytest.mark.{marks}\ndef test_it(imds_server): break_two(imds_server)")
    result = run(*LENIENT)
    failing = [rule for rule in broken if rule != "(rate)"]  # that one warns
    result.assert_outcomes(passed=1, errors=bool(failing), warnings=len(broken) - len(failing))
    result.stdout.fnmatch_lines([f"{number}. {rule}: *" for number, rule in enumerate(failing, start=1)])
    if not failing:
        result.stdout.no_fnmatch_line("*broke*")


def test_where_nothing_is_judged_what_is_found_can_be_asserted(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        CLIENT
        + """
@pytest.mark.imds(audit=False)
def test_all(imds_audit, imds_server):
    break_two(imds_server)
    assert [finding.rule for finding in imds_audit.findings] == ["metadata-header", "rate"]

@pytest.mark.imds(audit=False, ignore=["rate"])
def test_some(imds_audit, imds_server):
    break_two(imds_server)
    (finding,) = imds_audit.findings
    assert finding.requests == imds_server.requests[:1]
    assert (finding.severity, finding.server) == ("error", imds_server.url)
"""
    )
    run().assert_outcomes(passed=2)


INI = """
def test_with_a_server(imds_server):
    break_two(imds_server)

def test_with_one_of_its_own(make_imds_server):
    break_two(make_imds_server("windows"))

@pytest.mark.imds_vm("windows")
def test_by_marker(request):
    assert "imds_audit" in request.fixturenames
    break_two(request.getfixturevalue("imds_server"))

@pytest.mark.imds(audit=False)
def test_without_the_audit(request, imds_server):
    assert "imds_audit" not in request.fixturenames
    break_two(imds_server)

@pytest.mark.imds(audit=["no-retry"])
def test_with_another_rule(imds_server):
    break_two(imds_server)

@pytest.mark.imds(ignore=["rate", "metadata-header"])
def test_with_less(imds_server):
    break_two(imds_server)

def test_without_a_server(request):
    assert "imds_audit" not in request.fixturenames
"""


@pytest.mark.parametrize(
    ("ini", "rules", "warnings"),
    [
        ("imds_audit = all", ["metadata-header"], 3),
        ("imds_audit = rate", ["rate"], 0),
        ("imds_audit = rate metadata-header", ["metadata-header", "rate"], 0),
    ],
)
def test_the_ini_option_is_for_every_test_that_has_a_server(
    pytester: pytest.Pytester, run: Run, ini: str, rules: list[str], warnings: int
) -> None:
    pytester.makepyfile(CLIENT + INI)
    result = run(*LENIENT, ini=(ini,))
    result.assert_outcomes(passed=7, errors=3, warnings=warnings)
    lines = [f"{number}. {rule}: *" for number, rule in enumerate(rules, start=1)]
    result.stdout.fnmatch_lines([line for _ in range(3) for line in ["*of test_*", "the clients of *", *lines]])


def test_the_ini_option_names_rules_that_there_are(pytester: pytest.Pytester, run: Run) -> None:
    path = pytester.makepyfile("def test_it(imds_server): ...\ndef test_other(): ...")
    result = run(ini=("imds_audit = metadata",))
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"{path}:1: unknown rule for callers of IMDS 'metadata'.", "*mean 'metadata-header'?"])


def test_a_test_that_fails_or_skips_is_not_judged(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        CLIENT
        + """
pytestmark = pytest.mark.imds(audit=True)

def test_fails(imds_server):
    break_two(imds_server)
    raise ZeroDivisionError

def test_skips(imds_server):
    break_two(imds_server)
    pytest.skip("later")

@pytest.mark.xfail(strict=True)
def test_is_expected_to_fail(imds_server):
    break_two(imds_server)
    raise ZeroDivisionError

@pytest.fixture
def client(imds_server):
    break_two(imds_server)
    raise ZeroDivisionError

def test_never_begins(client): ...
"""
    )
    result = run()
    result.assert_outcomes(failed=1, skipped=1, xfailed=1, errors=1)
    result.stdout.no_fnmatch_line("*broke*")


def test_what_fixtures_ask_before_and_after_the_test_is_judged_too(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        CLIENT
        + """
@pytest.fixture(autouse=True)
def agent(imds_server):
    ask(imds_server, headers={})
    yield
    ask(imds_server, headers={"Metadata": "no"})

@pytest.mark.imds(audit=True)
def test_it(imds_server): ...
"""
    )
    result = run()
    result.stdout.fnmatch_lines(["  no header Metadata:", "    1. *", "  the header Metadata is 'no':", "    2. *"])


def test_of_many_requests_some_are_shown(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        CLIENT
        + """
@pytest.mark.imds(audit=["metadata-header"])
def test_it(imds_server):
    for number in range(17):
        ask(imds_server, headers={})
"""
    )
    result = run()
    result.stdout.fnmatch_lines(["    1. *", "    2. *", "    3. *", "    4. *", "    5. *", "    and 12 more"])
    result.stdout.no_fnmatch_line("    6. *")


def test_of_several_servers_it_is_said_which(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        CLIENT
        + """
@pytest.mark.imds(audit=["metadata-header"])
def test_it(imds_server, make_imds_server):
    other = make_imds_server(newest="2020-10-01")
    ask(imds_server, headers={})
    ask(other, headers={})

@pytest.mark.imds(audit=["api-version"])
def test_each_by_its_own_versions(imds_server, make_imds_server):
    other = make_imds_server(newest="2020-10-01")
    for server in (imds_server, other):
        ask(server, "/metadata/instance?api-version=2021-02-01")
"""
    )
    result = run()
    line = "    1. GET /metadata/versions at http://127.0.0.1:* (0.* s: 400)"
    result.stdout.fnmatch_lines([line, line, "*its newest is 2020-10-01:", "    1. GET /metadata/instance*s: 400)"])


MISTAKES = {
    "imds(audit=['metadata_header'])": [
        "unknown rule *'metadata_header'.",
        "*mean 'metadata-header'?",
        "*known: api-*",
    ],
    "imds(audit='all')": ["unknown rule * 'all'.", "*"],
    "imds(audit=[5])": ["unknown rule * 5.", "*known: api-version, *"],
    "imds(audit=5)": ["audit cannot be 5.", "*right: True, False or the names of rules"],
    "imds(audit=[])": ["audit cannot be [[][]].", "*right: True, False or the names of rules"],
    "imds(ignore=True)": ["ignore cannot be True.", "*right: the names of rules"],
    "imds(ignore=['rates'])": ["unknown rule *'rates'.", "*mean 'rate'?"],
    "imds(audit=False, ignore=['rates'])": ["unknown rule *'rates'.", "*mean 'rate'?"],
}


def test_mistakes_fail_at_setup_at_the_users_line(pytester: pytest.Pytester, run: Run) -> None:
    paths = [
        pytester.makepyfile(**{f"test_{number}": f"import pytest\n\n@pytest.mark.{marker}\ndef test_it(): ..."})
        for number, marker in enumerate(MISTAKES)
    ]
    result = run()
    result.assert_outcomes(errors=len(MISTAKES))
    for path, (first, *rest) in zip(paths, MISTAKES.values(), strict=True):
        result.stdout.fnmatch_lines([f"{path}:3: {first}", *rest], consecutive=True)


def test_the_environment_is_as_it_was_when_the_test_is_over(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        CLIENT
        + """
import os

NAMES = ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy")
before = {name: os.environ.get(name) for name in NAMES}

@pytest.mark.imds(audit=True, redirect=True)
def test_it(imds_server):
    assert os.environ["http_proxy"] == imds_server.url
    assert "169.254.169.254" not in os.environ["no_proxy"]

def test_next(imds_server):
    assert {name: os.environ.get(name) for name in NAMES} == before
"""
    )
    run().assert_outcomes(passed=2)


def test_a_test_of_unittest_is_judged(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        CLIENT
        + """
import unittest

@pytest.mark.imds(audit=["metadata-header"])
class TestAgent(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def server(self, imds_server):
        self.server = imds_server

    def test_good(self):
        ask(self.server)

    def test_bad(self):
        ask(self.server, headers={})
"""
    )
    run().assert_outcomes(passed=2, errors=1)


def test_problems_inside_the_server_are_told_beside_it(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        CLIENT
        + """
@pytest.mark.imds(audit=True)
@pytest.mark.imds_fault("gone")
def test_it(imds_server):
    assert ask(imds_server, headers={}).status_code == 410
    imds_server.faults.throttled()
"""
    )
    result = run()
    result.stdout.fnmatch_lines(["*broke a rule*"])
    result.stdout.fnmatch_lines(["*the fault throttled() never fired*"])
