"""The marker imds_fault: what it plans, and where it may stand."""

from __future__ import annotations

import pytest

from pytest_imds.faults.kinds import KINDS
from tests.plugin.conftest import Run
from tests.plugin.fleets import passes, write

# What cannot be left out.
OWN = {
    "flapping": "up=0, down=100, ",
    "latency": "seconds=0, ",
    "wrong_service": "service='host', ",
    "dribble": "over=0, ",
}
DOORS = ("refused", "connect_timeout")
# Inner tests ask in this way for what may be broken: the status, or the kind of failure.
ASK = """
    from contextlib import suppress

    def ask(server, target=VM_ID):
        try:
            return get(server, target)[0]
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
"""


def marked(name: str) -> str:
    """Return a parameter of a test whose fault takes all that it can, and breaks the second of three requests."""
    terms = "" if name in DOORS else "path='/metadata/instance/*', probability=1, "
    terms += "after=1, times=1, window=70, required=True"
    return f"pytest.param({name!r}, marks=pytest.mark.imds_fault({name!r}, {OWN.get(name, '')}{terms}))"


def test_every_fault_has_its_name_and_its_parameters_in_the_marker(pytester: pytest.Pytester, run: Run) -> None:
    source = f"""
    FAULTS = [{", ".join(map(marked, KINDS))}]

    @pytest.mark.parametrize("name", FAULTS)
    def test_it(imds_server, imds_faults, name):
        assert get(imds_server)[0] == 200
        with closing(http.client.HTTPConnection("127.0.0.1", imds_server.port, timeout=0.1)) as connection:
            with suppress(OSError, http.client.HTTPException):  # what becomes of the request is for others to test
                connection.request("GET", VM_ID, headers={{"Metadata": "true"}})
                connection.getresponse().read()
        assert [fired.fault for fired in imds_faults.fired] == [name]
        if name not in {DOORS}:
            assert get(imds_server)[0] == 200
    """
    passes(pytester, run, ASK + source, count=len(KINDS))


def test_markers_of_function_class_and_module_all_apply_the_nearest_first(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    pytestmark = [pytest.mark.imds_fault("not_found", times=1), pytest.mark.imds_fault("gone", times=1)]

    def statuses(server, count):
        return [get(server)[0] for _ in range(count)]

    def test_module(imds_server):
        assert statuses(imds_server, 3) == [404, 410, 200]

    @pytest.mark.imds_fault("throttled", requests=2)
    class TestIt:
        def test_class(self, imds_server):
            assert statuses(imds_server, 5) == [429, 429, 404, 410, 200]

        @pytest.mark.imds_fault("server_error", times=1)
        @pytest.mark.imds_fault("server_error", status=503, times=1)
        @pytest.mark.imds_fault("latency", 0.001, times=1)
        def test_function(self, imds_server, imds_faults):
            assert statuses(imds_server, 7) == [503, 500, 429, 429, 404, 410, 200]
            assert [fired.fault for fired in imds_faults.fired[:2]] == ["latency", "server_error"]
    """,
        count=3,
    )


def test_marker_of_one_parameter_is_for_that_one_alone(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    @pytest.mark.parametrize(
        "status", [200, pytest.param(410, marks=pytest.mark.imds_fault("gone")), pytest.param(200, id="again")]
    )
    def test_it(imds_server, status):
        assert get(imds_server)[0] == status
    """,
        count=3,
    )


def test_faults_of_a_test_do_not_reach_the_next(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        ASK
        + """
    @pytest.mark.imds_fault("refused")
    @pytest.mark.imds_fault("gone", required=False)
    def test_first(imds_server):
        assert ask(imds_server) == "ConnectionRefusedError"

    def test_second(imds_server, imds_faults):
        assert not imds_faults.planned
        assert ask(imds_server) == 200
        assert imds_faults.fired == ()
    """,
        count=2,
    )


def test_sequence_plays_one_after_another(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        ASK
        + """
    from pytest_imds import Fault

    @pytest.mark.imds_fault("sequence", Fault("not_found", times=2), Fault("reset", times=1), Fault("gone", window=70))
    def test_it(imds_server):
        assert [ask(imds_server) for _ in range(4)] == [404, 404, "ConnectionResetError", 410]
        imds_server.clock.advance(70)
        assert ask(imds_server) == 200
    """,
    )


def test_marker_acts_on_a_test_that_names_no_fixture(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    @pytest.mark.imds_fault("gone")
    def test_it(request):
        assert get(request.node.funcargs["imds_server"])[0] == 410

    @pytest.mark.imds_fault("gone")
    def test_vm_alone(imds_vm, request):
        assert get(request.getfixturevalue("imds_server"))[0] == 410
    """,
        count=2,
    )


def test_marker_is_not_for_further_servers(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    @pytest.mark.imds_fault("gone")
    def test_it(make_imds_server, request):
        servers = [make_imds_server(), *make_imds_server(count=2)]
        assert [get(server)[0] for server in servers] == [200, 200, 200]
        assert get(request.node.funcargs["imds_server"])[0] == 410

    def test_their_own_faults(make_imds_server):
        broken, good = make_imds_server(count=2)
        broken.faults.gone()
        assert [get(broken)[0], get(good)[0]] == [410, 200]
    """,
        count=2,
    )


def test_markers_act_on_tests_of_unittest(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
    import unittest

    @pytest.mark.imds_fault("gone", times=1)
    class TestIt(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def take(self, imds_server):
            self.server = imds_server

        def test_class(self):
            self.assertEqual([get(self.server)[0] for _ in range(2)], [410, 200])

        @pytest.mark.imds_fault("not_found", times=1)
        def test_method(self):
            self.assertEqual([get(self.server)[0] for _ in range(3)], [404, 410, 200])

        def test_skips(self):
            self.skipTest("nothing to see")

        def test_never_asks(self):
            pass

    class TestWithoutFixture(unittest.TestCase):
        @pytest.mark.imds_fault("gone", window=5)
        def test_fails(self):
            self.fail("mine")
    """,
    )
    result = run()
    result.assert_outcomes(passed=3, skipped=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown of TestIt.test_never_asks*", "1. the fault gone(window=70, times=1) never fired*"]
    )
    result.stdout.no_fnmatch_line("*the fault gone(window=5)*")


def test_the_seed_says_which_requests_chance_breaks(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
    @pytest.mark.parametrize("n", range(2))
    @pytest.mark.imds_fault("gone", probability=0.5)
    def test_it(imds_server, pytestconfig, n):
        with open(pytestconfig.rootpath / "told", "a") as told:
            print(n, *[get(imds_server)[0] for _ in range(20)], file=told)
    """,
    )
    told = pytester.path / "told"
    runs = []
    for arguments in (["--imds-seed=1"], ["test_it.py::test_it[1]", "test_it.py::test_it[0]", "--imds-seed=1"], []):
        run(*arguments).assert_outcomes(passed=2)
        runs.append(sorted(told.read_text().splitlines()))
        told.unlink()

    assert runs[0] == runs[1]
    assert len({line[1:] for line in (*runs[0], *runs[2])}) == 4


LIMITED = """
    def limited(server):
        return 429 in [get(server)[0] for _ in range(12)]

    def test_usual(imds_server, make_imds_server):
        assert [limited(server) for server in (imds_server, make_imds_server())] == [USUAL, USUAL]
        assert not limited(make_imds_server(rate_limit=False))

    @pytest.mark.imds(rate_limit=True)
    class TestLimited:
        def test_class(self, imds_server, make_imds_server):
            assert [limited(server) for server in (imds_server, *make_imds_server(count=2))] == [True, True, True]

        @pytest.mark.imds(rate_limit=False)
        def test_function(self, imds_server, make_imds_server):
            assert [limited(server) for server in (imds_server, make_imds_server())] == [False, False]

        @pytest.mark.imds(rate_limit=None)
        def test_as_usual(self, imds_server):
            assert limited(imds_server) is USUAL

        def test_waits(self, imds_server, imds_clock):
            asked = []
            for _ in range(12):
                asked.append(get(imds_server)[0])
                imds_clock.sleep(0.25)
            assert asked == [200] * 12
"""


@pytest.mark.parametrize(("ini", "usual"), [((), False), (("imds_rate_limit = true",), True)], ids=["off", "on"])
def test_rate_limit_is_that_of_the_ini_file_unless_the_marker_says(
    pytester: pytest.Pytester, run: Run, ini: tuple[str, ...], usual: bool
) -> None:
    passes(pytester, run, f"    USUAL = {usual}\n{LIMITED}", count=5, ini=ini)
