"""A test has the same VM as long as its id and the seed are the same, whatever else runs and where."""

from __future__ import annotations

import re
import shlex
from random import Random

import pytest

from tests.plugin.conftest import WITHOUT, Run

RECORD = """
    import pytest

    @pytest.fixture(autouse=True)
    def _record(request, pytestconfig, imds_vm):
        (pytestconfig.rootpath / f"{request.node.name}.vm").write_text(repr(imds_vm))
"""
TESTS = """
    import pytest

    @pytest.mark.parametrize("n", range(4))
    def test_many(n): ...

    def test_alone(): ...

    class TestGroup:
        pytestmark = pytest.mark.imds_vm("multi-nic", data_disks=2)

        def test_within(self): ...

    @pytest.mark.imds_vm("windows")
    @pytest.mark.xdist_group("windows")
    def test_windows(): ...
"""
COUNT = 7


@pytest.fixture
def tests(pytester: pytest.Pytester) -> list[str]:
    """Write the tests, each of which records its VM; their ids."""
    pytester.makeconftest(RECORD)
    pytester.makepyfile(test_it=TESTS)
    names = ["test_alone", "TestGroup::test_within", "test_windows", *(f"test_many[{n}]" for n in range(4))]
    return [f"test_it.py::{name}" for name in names]


def recorded(pytester: pytest.Pytester) -> dict[str, str]:
    """Take away what the last run recorded: test to VM."""
    files = sorted(pytester.path.glob("*.vm"))
    vms = {path.stem: path.read_text() for path in files}
    for path in files:
        path.unlink()
    return vms


@pytest.fixture
def vms(pytester: pytest.Pytester, run: Run, tests: list[str]) -> dict[str, str]:
    """The VMs of a run in the order of the file."""
    run().assert_outcomes(passed=COUNT)
    return recorded(pytester)


def test_different_tests_have_different_vms(vms: dict[str, str]) -> None:
    assert len(vms) == COUNT
    ids = [re.search(r"vm_id='([^']+)'", vm) for vm in vms.values()]
    assert len({found[1] for found in ids if found}) == COUNT


def test_vms_are_the_same_in_every_order(
    pytester: pytest.Pytester, run: Run, tests: list[str], vms: dict[str, str]
) -> None:
    for order in (tests[::-1], Random(1).sample(tests, COUNT), Random(2).sample(tests, COUNT)):
        run(*order).assert_outcomes(passed=COUNT)
        assert recorded(pytester) == vms


def test_vm_is_the_same_when_the_test_runs_alone(
    pytester: pytest.Pytester, run: Run, tests: list[str], vms: dict[str, str]
) -> None:
    for test in tests:
        run(test).assert_outcomes(passed=1)
        alone = recorded(pytester)
        assert alone == {name: vms[name] for name in alone}


@pytest.mark.parametrize("randomly_seed", [1, 2])
def test_vms_are_the_same_under_pytest_randomly(
    pytester: pytest.Pytester, tests: list[str], vms: dict[str, str], randomly_seed: int
) -> None:
    # All that is left out elsewhere but pytest-randomly itself.
    result = pytester.runpytest_inprocess(*WITHOUT[2:], f"--randomly-seed={randomly_seed}")
    result.assert_outcomes(passed=COUNT)
    result.stdout.fnmatch_lines([f"Using --randomly-seed={randomly_seed}"])
    assert recorded(pytester) == vms


def test_vms_are_the_same_with_the_plugin_of_faker(
    pytester: pytest.Pytester, run: Run, tests: list[str], vms: dict[str, str]
) -> None:
    pytester.makepyfile(test_faker="def test_it(request): assert request.config.pluginmanager.has_plugin('faker')")
    run("-p", "faker").assert_outcomes(passed=COUNT + 1)
    assert recorded(pytester).items() > vms.items()


def test_other_seed_gives_other_vms(pytester: pytest.Pytester, run: Run, tests: list[str], vms: dict[str, str]) -> None:
    run("--imds-seed=1").assert_outcomes(passed=COUNT)
    others = recorded(pytester)
    assert others.keys() == vms.keys()
    assert not set(others.values()) & set(vms.values())
    run("--imds-seed", "1").assert_outcomes(passed=COUNT)
    assert recorded(pytester) == others


def test_seed_of_the_ini_file_counts_unless_the_command_line_has_one(
    pytester: pytest.Pytester, run: Run, tests: list[str], vms: dict[str, str]
) -> None:
    run(ini=("imds_seed = nightly",))
    of_ini = recorded(pytester)
    run("--imds-seed=nightly")
    assert recorded(pytester) == of_ini
    assert of_ini != vms
    run("--imds-seed=0", ini=("imds_seed = nightly",))
    assert recorded(pytester) == vms


def test_empty_seed_of_the_command_line_counts(
    pytester: pytest.Pytester, run: Run, tests: list[str], vms: dict[str, str]
) -> None:
    run("--imds-seed=", ini=("imds_seed = 0",))
    assert recorded(pytester) != vms


def test_profile_of_the_ini_file_is_for_tests_that_name_none(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import pytest

        def test_none(imds_vm):
            assert imds_vm.profile == "spot"

        @pytest.mark.imds_vm(name="web")
        def test_knob(imds_vm):
            assert (imds_vm.profile, imds_vm.name) == ("spot", "web")

        @pytest.mark.imds_vm("windows")
        def test_named(imds_vm):
            assert imds_vm.profile == "windows"
        """
    )
    run(ini=("imds_profile = spot",)).assert_outcomes(passed=3)


def told(result: pytest.RunResult) -> list[str]:
    """Return what a report says about VMs."""
    return [line for line in result.outlines if line.startswith(("VM: ", "seed: ", "again: "))]


def test_failure_tells_the_vm_and_how_to_have_it_again(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.imds_vm("windows", name="web")
        def test_fails(imds_vm):
            assert not imds_vm

        def test_passes(imds_vm): ...
        """
    )
    result = run("-rA", "--imds-seed=7")
    result.assert_outcomes(failed=1, passed=1)
    vm, seed, again = told(result)
    assert vm.startswith("VM: profile windows, name web, at http://127.0.0.1:")
    assert seed == "seed: '7:test_it.py::test_fails'"
    assert shlex.split(again) == ["again:", "pytest", "test_it.py::test_fails", "--imds-seed=7"]


def test_success_tells_nothing(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("def test_passes(imds_vm): print('passing')")
    result = run("-rA", "-v")
    result.stdout.fnmatch_lines(["passing"])
    assert told(result) == []


def test_failure_of_a_test_without_a_vm_tells_nothing(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("def test_with(imds_vm): ...\n\ndef test_without(): assert 0")
    result = run()
    result.assert_outcomes(passed=1, failed=1)
    assert told(result) == []


@pytest.mark.parametrize("part", ["setup", "teardown"])
def test_failure_of_a_fixture_tells_the_vm(pytester: pytest.Pytester, run: Run, part: str) -> None:
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.fixture
        def broken(imds_vm):
            assert {part == "teardown"}
            yield
            assert False

        def test_it(broken): ...
        """
    )
    result = run()
    result.assert_outcomes(errors=1, passed=int(part == "teardown"))
    assert len(told(result)) == 3


def test_failure_inside_the_server_tells_the_vm(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("def test_it(imds_server): imds_server.add_assertion('wrong')")
    result = run()
    result.assert_outcomes(passed=1, errors=1)
    assert len(told(result)) == 3


def test_command_that_is_told_gives_the_same_vm(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makeconftest(RECORD)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("text", ["plain", "two words", "it's", "$HOME", 'a"b'])
        def test_fails(text):
            assert not text
        """
    )
    result = run("--imds-seed=of this week")
    result.assert_outcomes(failed=5)
    vms = recorded(pytester)
    commands = [line.removeprefix("again: ") for line in told(result) if line.startswith("again: ")]
    assert len(commands) == 5
    for command in commands:
        pytest_itself, *arguments = shlex.split(command)
        assert pytest_itself == "pytest"
        run(*arguments).assert_outcomes(failed=1)
    assert recorded(pytester) == vms
