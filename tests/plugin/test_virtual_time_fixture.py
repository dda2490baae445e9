"""The fixture imds_clock: what a test has of it."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Run
from tests.plugin.fleets import passes, write
from tests.plugin.times import WHOSE


def test_time_goes_on_by_itself_and_is_the_service_s_too(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        WHOSE
        + """
    from pytest_imds import Clock

    @pytest.mark.imds_fault("gone", window=70)
    def test_it(imds_server, imds_clock):
        assert type(imds_clock) is Clock
        began, at = time.time(), imds_clock.now
        while get(imds_server)[0] == 410:
            sleep(10)
        assert 70 <= time.time() - began < 71
        assert 70 <= (imds_clock.now - at).total_seconds() < 71
        assert imds_clock.now.timestamp() == pytest.approx(time.time(), abs=1)
        assert imds_clock.monotonic() == pytest.approx(time.monotonic(), abs=1)
        imds_clock.advance(100)
        assert 170 <= time.time() - began < 171
        imds_clock.sleep(100)
        assert 270 <= time.time() - began < 271

    def test_without_a_server(imds_clock, request):
        is_virtual()
        assert "imds_server" not in request.node.funcargs

    def test_without_the_fixture(imds_server):
        is_real()
        began = time.monotonic()
        imds_server.clock.advance(100)
        assert time.monotonic() - began < 100
    """,
        count=3,
    )


def test_all_servers_of_a_test_have_its_clock(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        WHOSE
        + """
    @pytest.fixture
    def early(make_imds_server):
        return make_imds_server()

    def test_clock_last(early, imds_server, make_imds_server, imds_clock):
        servers = [early, imds_server, make_imds_server(), *make_imds_server(count=2)]
        assert {id(server.clock) for server in servers} == {id(imds_clock)}
        is_virtual()
        early.faults.gone(window=70)
        assert get(early)[0] == 410
        sleep(70)
        assert get(early)[0] == 200

    def test_clock_first(imds_clock, imds_server):
        assert imds_server.clock is imds_clock
        is_virtual()

    def test_another_one_has_not(imds_clock, imds_server):
        with ImdsServer() as other:
            assert other.clock is not imds_clock
    """,
        count=3,
    )


def test_fixtures_of_a_test_share_the_clock(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        WHOSE
        + """
    @pytest.fixture
    def before(request):
        yield
        is_real()

    @pytest.fixture
    def one(before, imds_clock):
        is_virtual()
        yield imds_clock
        is_virtual()

    @pytest.fixture
    def other(imds_clock):
        yield imds_clock
        is_virtual()

    def test_it(one, other, imds_clock, request):
        assert one is other is imds_clock is request.getfixturevalue("imds_clock")
        is_virtual()

    def test_late(request):
        is_real()
        request.getfixturevalue("imds_clock")
        is_virtual()

    @pytest.mark.usefixtures("imds_clock")
    def test_by_name():
        is_virtual()
    """,
        count=3,
    )


def test_tests_of_all_manners_have_virtual_time(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        WHOSE
        + """
    import unittest

    async def deadline():
        began = time.monotonic()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.sleep(100), 25)
        assert 25 <= time.monotonic() - began < 26

    def test_asyncio(imds_clock):
        asyncio.run(deadline())
        is_virtual()

    def test_raises(imds_clock):
        with pytest.raises(LookupError):
            sleep(60)
            raise LookupError
        is_virtual()

    @pytest.mark.parametrize("n", range(2))
    def test_parameters(imds_clock, n):
        is_virtual()

    @pytest.mark.usefixtures("imds_clock")
    class TestIt(unittest.TestCase):
        def setUp(self):
            is_virtual()

        def test_it(self):
            is_virtual()

        def tearDown(self):
            is_virtual()

    class TestAsync(unittest.IsolatedAsyncioTestCase):
        @pytest.fixture(autouse=True)
        def clock(self, imds_clock):
            self.clock = imds_clock

        async def test_it(self):
            await deadline()
            self.clock.advance(10)

    class TestReal(unittest.TestCase):
        def test_it(self):
            is_real()
    """,
        count=7,
    )


def test_durations_are_real(pytester: pytest.Pytester, run: Run) -> None:
    write(pytester, WHOSE, "    def test_it(imds_clock):\n        sleep(100_000)")
    result = run("--durations=0", "-vv", "--junitxml=report.xml")
    result.assert_outcomes(passed=1)
    assert [line for line in result.outlines if "s call" in line and float(line.split("s ")[0]) < 100]
    assert 'time="100' not in (pytester.path / "report.xml").read_text()


def test_what_cannot_be_virtual_is_refused_at_the_line_of_the_test(pytester: pytest.Pytester, run: Run) -> None:
    # One that is installed, and imported already, is as good.
    pytester.makepyfile(trio="def run(main): main()")
    write(
        pytester,
        """
    import trio

    def test_it(imds_clock):
        trio.run(None)  # HERE
    """,
    )
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">       trio.run(None)  # HERE",
            "E       *ImdsUsageError: trio keeps its own time, which cannot be virtual here.",
            "E         right: use asyncio, or leave imds_clock out and advance the clock",
        ]
    )


def test_chaos_has_made_it_virtual_already(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import time

        def test_it(imds_clock, imds_server):
            began = time.monotonic()
            time.sleep(60)
            assert imds_clock is imds_server.clock
            assert 60 <= time.monotonic() - began < 65
        """
    )
    run("--imds-chaos=7").assert_outcomes(passed=1)
