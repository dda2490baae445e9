"""--imds-chaos: which requests it breaks, what it tells, and which tests it leaves alone."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.plugin.conftest import Run
from tests.plugin.fleets import write

# Inner tests that write down what becomes of each of their requests.
RECORDED = """
    def outcome(server, target=VM_ID):
        try:
            return get(server, target)[0]
        except OSError as error:
            return type(error).__name__

    @pytest.fixture(autouse=True)
    def record(request, pytestconfig):
        told = []
        yield told
        (pytestconfig.rootpath / f"{request.node.name}.json").write_text(json.dumps(told))

    @pytest.mark.parametrize("n", range(3))
    def test_it(imds_server, make_imds_server, record, n):
        for server in (imds_server, make_imds_server()):
            record.append([outcome(server) for _ in range(15)])
            record.append([re.sub(r" at .* s: ", " ", line) for line in server.faults.chaotic])
"""
IMPORTS = "    import re\n    import time\n"
IN_TROUBLE = {410: "410", 429: "429", 500: "500", "ConnectionResetError": "reset"}
# A suite that knows nothing of chaos, and whose client tries three times.
SUITE = """
    import time
    import urllib.request
    from urllib.error import HTTPError, URLError

    def ask(server, path, data=None):
        request = urllib.request.Request(server.url + "/metadata" + path, data, {"Metadata": "true"})
        for wait in (1, 2):
            try:
                with urllib.request.urlopen(request, timeout=5) as reply:
                    return reply.read()
            except (HTTPError, URLError, ConnectionError) as error:
                if getattr(error, "code", 500) not in (404, 410, 429, 500, 503):
                    raise
            time.sleep(wait)
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.read()

    @pytest.mark.parametrize("n", range(20))
    def test_metadata(imds_server, n):
        told = json.loads(ask(imds_server, "/instance?api-version=2021-02-01"))
        assert told["compute"]["vmId"] == imds_server.vm.vm_id

    @pytest.mark.parametrize("n", range(10))
    def test_events(imds_server, n):
        event = imds_server.events.schedule("Preempt", notice_s=30)
        path = "/scheduledevents?api-version=2020-07-01"
        assert json.loads(ask(imds_server, path))["Events"][0]["EventId"] == event.event_id
        ask(imds_server, path, json.dumps({"StartRequests": [{"EventId": event.event_id}]}).encode())
        assert event.approved
"""


def recorded(pytester: pytest.Pytester) -> dict[str, Any]:
    """Return what the inner tests have written down, by their names."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(pytester.path.glob("test_*.json"))}
    for name in found:
        (pytester.path / f"{name}.json").unlink()
    return found


def test_requests_are_broken_and_told(pytester: pytest.Pytester, run: Run) -> None:
    write(pytester, IMPORTS, RECORDED)
    run("--imds-chaos=7").assert_outcomes(passed=3)
    for servers in recorded(pytester).values():
        for outcomes, told in (servers[:2], servers[2:]):
            assert set(outcomes) <= {200, *IN_TROUBLE}
            broken = [IN_TROUBLE[outcome] for outcome in outcomes if outcome != 200]
            assert broken
            assert [line.partition(" ")[0] for line in told if not line.startswith("latency")] == broken
            requests = {line.partition(" ")[2] for line in told}
            assert requests == {"GET /metadata/instance/compute/vmId?api-version=2021-02-01&format=text"}


def test_the_same_seed_gives_the_same_faults_in_any_order(pytester: pytest.Pytester, run: Run) -> None:
    write(pytester, IMPORTS, RECORDED)
    names = [f"test_it.py::test_it[{number}]" for number in range(3)]
    runs: list[dict[str, Any]] = []
    for arguments in (names, names[::-1], names[1:2], names):
        seed = 7 if len(runs) < 3 else 8
        run(*arguments, f"--imds-chaos={seed}").assert_outcomes(passed=len(arguments))
        runs.append(recorded(pytester))

    assert runs[0] == runs[1]
    assert runs[0]["test_it[1]"] == runs[2]["test_it[1]"]
    assert not any(runs[0][name] == runs[3][name] for name in runs[0])
    servers = [(*told[0], "and", *told[2]) for one in (runs[0], runs[3]) for told in one.values()]
    assert len(set(servers)) == 6
    assert all(told[0] != told[2] for told in runs[0].values())


def test_every_run_without_a_seed_has_a_new_one(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("def test_it(): ...")
    assert len({line for _ in range(3) for line in run("--imds-chaos").outlines if line.startswith("imds chaos:")}) > 1


def test_the_end_of_the_run_says_test_by_test_what_was_broken(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        IMPORTS,
        """
    def test_asks(imds_server):
        for _ in range(30):
            try:
                get(imds_server)
            except OSError:
                pass
        time.sleep(70)
        while not imds_server.faults.chaotic[-1].startswith("500 at 7"):
            try:
                get(imds_server)
            except OSError:
                pass
        for line in imds_server.faults.chaotic:
            print("broken:", line)

    def test_asks_nothing(imds_server): ...

    def test_has_no_server(): ...
    """,
    )
    result = run("--imds-chaos=7", "-rP")
    result.assert_outcomes(passed=3)
    broken = [line.removeprefix("broken: ") for line in result.outlines if line.startswith("broken: ")]
    line = re.compile(r"(410|429|500|latency|reset) at (\d|7\d)\.\d s: GET /metadata/instance/compute/vmId\?\S+")
    assert [one for one in broken if not line.fullmatch(one)] == []
    begin = next(at for at, one in enumerate(result.outlines) if re.fullmatch("=* imds chaos, seed 7 =*", one))
    section = result.outlines[begin + 1 : begin + len(broken) + 3]
    assert section == [
        "test_it.py::test_asks",
        *(f"  {line}" for line in broken),
        "1 tests with requests broken, 2 without",
    ]


FAILS = """
    def test_fails(imds_server):
        for _ in range(30):
            assert get(imds_server)[0] == 200
"""


def test_a_failure_tells_what_was_broken_and_how_to_have_it_again(pytester: pytest.Pytester, run: Run) -> None:
    write(pytester, FAILS)
    for _ in range(2):
        result = run("test_it.py", "--imds-seed=3", "--imds-chaos=a b")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "*- IMDS traffic -*",
                "VM: profile linux, name *",
                "*  GET /metadata/instance/compute/vmId[?]a*  chaos: *",
                "again: pytest test_it.py::test_fails --imds-seed=3 '--imds-chaos=a b'",
            ]
        )


def test_what_was_broken_is_a_property_of_the_report(pytester: pytest.Pytester, run: Run) -> None:
    write(pytester, FAILS)
    result = run("--imds-chaos=7", "--junitxml=report.xml")
    result.assert_outcomes(failed=1)
    summary = result.outlines[result.outlines.index("test_it.py::test_fails") + 1 :]
    told = [line.strip() for line in summary if line.startswith("  ")]
    found = ElementTree.parse(pytester.path / "report.xml").iter("property")
    assert [one.get("value") for one in found if one.get("name") == "imds_chaos"] == told
    assert told


def test_a_test_may_be_left_alone_and_what_is_not_imds_is(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        IMPORTS,
        """
    @pytest.mark.imds(chaos=False)
    class TestIt:
        def test_left_alone(self, imds_server, make_imds_server):
            for server in (imds_server, make_imds_server()):
                assert {get(server)[0] for _ in range(30)} == {200}
                assert not server.faults.planned
            assert type(time.sleep) is type(len)

        @pytest.mark.imds(chaos=True)
        def test_not_left_alone(self, imds_server):
            assert type(time.sleep) is not type(len)
            time.sleep(1000)
            assert imds_server.faults.planned

    def test_own(imds_server):
        imds_server.expect_request("/own").respond_with_data("mine")
        assert [get(imds_server, "/own") for _ in range(30)] == [(200, "mine")] * 30
    """,
    )
    result = run("--imds-chaos=7")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["0 tests with requests broken, 3 without"])


def test_without_the_option_nothing_is_broken_and_nothing_shown(pytester: pytest.Pytester, run: Run) -> None:
    write(pytester, IMPORTS, RECORDED)
    result = run()
    result.assert_outcomes(passed=3)
    result.stdout.no_fnmatch_line("*chaos*")
    assert {tuple(told[0]) for told in recorded(pytester).values()} == {(200,) * 15}


def test_declared_faults_go_first(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
    @pytest.mark.parametrize("n", range(5))
    @pytest.mark.imds_fault("not_found", times=5)
    def test_it(imds_server, imds_faults, n):
        assert [get(imds_server)[0] for _ in range(5)] == [404] * 5
        assert imds_faults.chaotic == ()
        assert len(imds_faults.fired) == 5

    @pytest.mark.imds_fault("gone", path="/metadata/identity/*")
    def test_never(imds_server): ...
    """,
    )
    result = run("--imds-chaos=7")
    result.assert_outcomes(passed=6, errors=1)
    result.stdout.fnmatch_lines(["1. the fault gone(*) never fired*"])


def test_a_suite_with_a_good_client_passes_under_any_seed(pytester: pytest.Pytester, run: Run) -> None:
    """Each test has a seed of its own: the run's and its id."""
    write(pytester, SUITE)
    broken = 0
    for seed in range(3):
        result = run(f"--imds-chaos={seed}")
        result.assert_outcomes(passed=30)
        told = re.search(r"^(\d+) tests with requests broken, \d+ without$", result.stdout.str(), re.MULTILINE)
        assert told
        broken += int(told[1])
    assert broken > 10


def test_no_more_than_two_requests_in_a_row_are_broken_the_declared_ones_among_them(
    pytester: pytest.Pytester, run: Run
) -> None:
    write(
        pytester,
        SUITE,
        """
    @pytest.mark.parametrize("n", range(20))
    @pytest.mark.imds_fault("server_error", times=1)
    def test_declared(imds_server, n):
        ask(imds_server, "/instance?api-version=2021-02-01")
    """,
    )
    run("--imds-chaos=7", "-k", "declared").assert_outcomes(passed=20, deselected=30)


@pytest.mark.parametrize("what", ["test_it.py", "test_it.py::test_it", "folder"])
def test_what_to_run_is_not_taken_for_the_seed(pytester: pytest.Pytester, run: Run, what: str) -> None:
    pytester.makepyfile(test_it="def test_it(): ...")
    pytester.mkdir("folder")
    result = run("--imds-chaos", what)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            f"ERROR: the option --imds-chaos cannot be '{what}': that is *to run.",
            "  right: --imds-chaos=SEED, or --imds-chaos behind the files",
        ]
    )


@pytest.mark.parametrize("seed", ["any text::", "x" * 300])
def test_a_seed_is_any_text(pytester: pytest.Pytester, run: Run, seed: str) -> None:
    pytester.makepyfile("def test_it(imds_vm): ...")
    result = run(f"--imds-chaos={seed}")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"imds chaos: seed {seed} (*"])
