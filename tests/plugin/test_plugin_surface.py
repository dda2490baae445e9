"""What a user sees of the plugin from outside: its help, what it imports, what it gets on with."""

from __future__ import annotations

import sys

import pytest
from faker import Faker

import pytest_imds
from pytest_imds import ImdsProvider, Vm
from pytest_imds.tree import compact
from pytest_imds.vm.projection import view
from tests.plugin.conftest import PLUGINS, WITHOUT, Run

HEAVY = ("werkzeug", "cryptography", "faker", "pytest_httpserver")


@pytest.mark.parametrize(
    ("fixture", "first_line"),
    [
        ("imds_server", "A local HTTP server that answers as the Azure Instance Metadata Service, *"),
        ("imds_vm", "The VM that ``imds_server`` serves: *"),
        ("imds_attested", "The attested documents of ``imds_vm``, and the test root of trust that they lead to: *"),
        ("imds_forgery", "One ``Forgery`` after another: *"),
        ("imds_faults", "What breaks at ``imds_server``: a ``Faults`` with a method for each fault, *"),
        ("imds_audit", "Sees that clients keep the rules of IMDS for its callers: an ``Audit``, *"),
        ("imds_clock", "Virtual time for this test: a ``Clock`` that goes on by itself *"),
    ],
)
def test_fixtures_are_shown_with_their_documentation(run: Run, fixture: str, first_line: str) -> None:
    shown = run("--fixtures").stdout
    shown.fnmatch_lines([f"{fixture} -- *pytest_imds/plugin.py:*", f"    {first_line}"], consecutive=True)


def test_run_whose_last_test_stops_the_server_ends_quietly(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("def test_stops(imds_server): imds_server.stop()")
    result = run()
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK


def test_nothing_else_of_the_plugin_is_shown_among_the_fixtures(run: Run) -> None:
    shown = [line for line in run("--fixtures").outlines if "pytest_imds/" in line]
    assert sorted(line.split()[0] for line in shown) == [
        "imds_attested",
        "imds_audit",
        "imds_clock",
        "imds_faults",
        "imds_forgery",
        "imds_redirect",
        "imds_server",
        "imds_vm",
        "make_imds_server",
    ]


def test_markers_are_shown_with_their_signatures(run: Run) -> None:
    run("--markers").stdout.fnmatch_lines(
        [
            '@pytest.mark.imds_vm(profile="linux", [*][*]knobs): *',
            '@pytest.mark.imds([*], newest=None, cloud=None, chain="2024", aia=None, digest_oid="sha256With*",'
            " identity_v2=False, rate_limit=False, redirect=False, chaos=True, audit=None, ignore=None): *",
            "@pytest.mark.imds_fault(name, [*][*]parameters): *",
            "@pytest.mark.imds_forgeries(only=None, skip=None): *",
            "@pytest.mark.imds_namespace(): *",
        ]
    )


def test_help_shows_the_options(run: Run) -> None:
    run("--help").stdout.fnmatch_lines(
        [
            "Azure Instance Metadata Service (pytest-imds):",
            "*--imds-seed=SEED*",
            "*--imds-chaos*SEED*",
            "*imds_seed (string):*",
            "*imds_profile (string):*",
            "*imds_authority_keys (string):",
            "*rsa, or ec*",
            "*imds_rate_limit (bool):",
        ]
    )


def test_plugin_that_pytest_finds_may_be_named_too_and_works_without_the_plugin_of_faker(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        def test_it(imds_server, imds_vm, request):
            assert not request.config.pluginmanager.has_plugin("faker")
            assert imds_vm.name in imds_vm.resource_id
            assert imds_server.is_running()
        """
    )
    # That pytest finds it, every test shows that asks for a server: nothing else loads it for them.
    pytester.runpytest_inprocess(*PLUGINS, *WITHOUT, "-W", "error").assert_outcomes(passed=1)


def test_plugin_works_alone(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("def test_it(imds_server, imds_vm): assert imds_server.vm is imds_vm")
    pytester.runpytest_subprocess("-p", "pytest_imds.plugin", "-W", "error").assert_outcomes(passed=1)


def test_unused_plugin_imports_nothing_heavy(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        f"""
        import sys

        def test_it():
            assert "pytest_imds.plugin" in sys.modules
            assert not set({HEAVY!r}) & set(sys.modules)
            assert "pytest_imds.server" not in sys.modules
            assert not [name for name in sys.modules if name.startswith(("pytest_imds.faults", "pytest_imds.virtual"))]
        """
    )
    pytester.runpytest_subprocess("-p", "pytest_imds.plugin").assert_outcomes(passed=1)


def test_package_alone_imports_nothing_heavy_and_no_pytest(pytester: pytest.Pytester) -> None:
    code = f"import pytest_imds, sys; print(sorted(set({(*HEAVY, 'pytest')!r}) & set(sys.modules)))"
    result = pytester.run(sys.executable, "-c", code)
    assert result.outlines == ["[]"]


def test_server_is_usable_without_pytest(pytester: pytest.Pytester) -> None:
    code = "\n".join(
        [
            "import sys",
            "from pytest_imds import ImdsServer",
            "with ImdsServer('windows') as server: print(server.vm.os_type)",
            "print('pytest_imds.plugin' in sys.modules)",
        ]
    )
    assert pytester.run(sys.executable, "-W", "error", "-c", code).outlines == ["Windows", "False"]


def test_every_public_name_resolves() -> None:
    assert len(set(pytest_imds.__all__)) == len(pytest_imds.__all__)
    for name in pytest_imds.__all__:
        assert getattr(pytest_imds, name) is not None
    assert set(pytest_imds.__all__) <= set(dir(pytest_imds))


def test_star_import_gives_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from pytest_imds import *", names)
    assert set(pytest_imds.__all__) <= set(names)


def test_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pytest_imds' has no attribute 'Imds'"):
        _ = pytest_imds.Imds


@pytest.mark.parametrize("locale", [None, "en_US", "ja_JP", "ar_SA"], ids=str)
def test_provider_can_be_added_to_any_faker(locale: str | None) -> None:
    fake = Faker(locale)
    fake.add_provider(ImdsProvider)
    fake.seed_instance(1)
    vm = fake.imds_vm("windows", name="web", data_disks=2)
    assert isinstance(vm, Vm)
    assert (vm.profile, vm.os_type, vm.name) == ("windows", "Windows", "web")
    # Azure takes ASCII in names, whatever language the Faker speaks.
    assert vm.resource_id.isascii()
    assert vm.os_profile.admin_username.isascii()
    assert compact(view(vm, "2021-02-01", extended=False).document())


def test_provider_gives_the_same_vm_for_the_same_seed() -> None:
    vms = []
    for _ in range(2):
        fake = Faker("ja_JP")
        fake.add_provider(ImdsProvider)
        fake.seed_instance(7)
        vms.append([fake.imds_vm() for _ in range(2)])
    assert vms[0] == vms[1]
    assert vms[0][0] != vms[0][1]


def test_vm_of_another_faker_can_stand_beside_the_test_s_own(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        from faker import Faker
        from pytest_imds import ImdsProvider

        def test_it(imds_vm):
            before = repr(imds_vm)
            fake = Faker()
            fake.add_provider(ImdsProvider)
            assert fake.imds_vm().vm_id != imds_vm.vm_id
            assert repr(imds_vm) == before
        """
    )
    run().assert_outcomes(passed=1)


def test_unittest_cases_and_doctests_run_beside_it(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        test_it='''
        import unittest

        import pytest

        pytestmark = pytest.mark.imds_vm(location="westeurope")

        def double(number):
            """Double it.

            >>> double(2)
            4
            """
            return 2 * number

        class TestPlain(unittest.TestCase):
            def test_it(self):
                self.assertEqual(double(2), 4)

        @pytest.mark.imds_vm("windows")
        class TestVm(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def take(self, imds_vm):
                self.vm = imds_vm

            def test_it(self):
                self.assertEqual((self.vm.os_type, self.vm.location), ("Windows", "westeurope"))
        '''
    )
    run("--doctest-modules").assert_outcomes(passed=3)


def test_doctest_can_ask_for_the_server(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        test_it='''
        def of_the_vm():
            """Show the profile.

            >>> getfixture("imds_vm").profile
            'linux'
            >>> getfixture("imds_server").is_running()
            True
            """
        '''
    )
    run("--doctest-modules").assert_outcomes(passed=1)


def test_doctest_of_an_unknown_profile_says_so(pytester: pytest.Pytester, run: Run) -> None:
    pytester.maketxtfile(test_it=">>> getfixture('imds_vm').profile\n'linux'\n")
    result = run(ini=("imds_profile = linx",))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*unknown VM profile 'linx'.*"])


def test_fixture_of_the_user_may_build_on_the_server(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def imds_server(imds_server):
            imds_server.expect_request("/own").respond_with_data("mine")
            return imds_server

        @pytest.mark.imds_vm("windows")
        def test_it(imds_server, imds_vm):
            assert imds_server.vm is imds_vm
            assert len(imds_server.handlers) == 1
        """
    )
    run().assert_outcomes(passed=1)


def test_fixture_of_a_wider_scope_cannot_have_the_server(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture(scope="module")
        def wide(imds_server): ...

        def test_it(wide): ...
        """
    )
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ScopeMismatch*imds_server*"])


def test_collecting_alone_starts_nothing(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("import pytest\n\n@pytest.mark.imds_vm('linx')\ndef test_it(imds_server): ...")
    result = run("--collect-only", "-q")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*::test_it"])
