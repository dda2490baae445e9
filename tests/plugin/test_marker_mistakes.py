"""A marker that asks for what there is not: the test fails at setup, at the user's line, with what there is."""

from __future__ import annotations

import re
import textwrap

import pytest

from tests.plugin.conftest import Run

IMDS_VM = "  right: imds_vm(profile=*"
# What stands in the marker, and what the message says, line by line.
MISTAKES = {
    "profile": ('imds_vm("scale_set")', ["unknown VM profile 'scale_set'.", "*did you mean 'scale-set'?", "*known: *"]),
    "profile of a wrong type": ("imds_vm(5)", ["unknown VM profile 5.", "*known: classic, *"]),
    "profile in a list": ('imds_vm(["linux"])', ["*[[]'linux'[]]*", "*linux*"]),
    "knob": ('imds_vm(loction="x")', ["unknown VM knob 'loction'.", "*did you mean 'location'?", "*known: admin_*"]),
    "region": (
        'imds_vm(location="westeuropa")',
        ["unknown region of *'westeuropa'.", "*mean 'westeurope'?"],
    ),
    "size": ('imds_vm(vm_size="standard_d4s_v5")', ["unknown VM size 'standard_d4s_v5'.", "*mean 'Standard_D4s_v5'?"]),
    "value of a knob": ('imds_vm(os_type="linux")', ["unknown value of the knob os_type 'linux'.", "*mean 'Linux'?"]),
    "text for a number": (
        'imds_vm(data_disks="3")',
        ["the knob data_disks cannot be '3'.", "*right: how many * (int)"],
    ),
    "flag for a number": ("imds_vm(nics=True)", ["the knob nics cannot be True.", "*right: how many * (int)"]),
    "number for a flag": ("imds_vm(ipv6=1)", ["the knob ipv6 cannot be 1.", "*right: an IPv6 address too (bool)"]),
    "negative number": ("imds_vm(data_disks=-1)", ["the knob data_disks cannot be -1.", "*right: *0 or more"]),
    "no interfaces": ("imds_vm(nics=0)", ["the knob nics cannot be 0.", "*right: at least 1*"]),
    "tags in a list": ('imds_vm(tags=["a"])', ["the knob tags cannot be [[]'a'[]].", "*right: the tags*"]),
    "tag with a number": ('imds_vm(tags={"a": 1})', ["the knob tags cannot be {'a': 1}.", "*right: the tags*"]),
    "two positions": ('imds_vm("linux", "windows")', ["the marker imds_vm cannot be ('linux', 'windows').", IMDS_VM]),
    "profile twice": ('imds_vm("linux", profile="windows")', ["*profile*", "*linux*"]),
    "seed is no knob": ("imds_vm(seed=1)", ["unknown VM knob 'seed'.", "*known: admin_username, *"]),
    "newest is no knob": ('imds_vm(newest="2020-10-01")', ["unknown VM knob 'newest'.", "*known: admin_username, *"]),
    "port is no knob": ("imds_vm(port=8080)", ["unknown VM knob 'port'.", "*did you mean *", "*known: admin_*"]),
    "shared is no knob": ("imds_vm(shared=None)", ["unknown VM knob 'shared'.", "*known: admin_username, *"]),
    "zone without zones": (
        'imds_vm(location="westus", zone="1")',
        ["the region westus has no availability zone '1'.", "*its zones: none", "*vm.override()"],
    ),
    "zone beyond the zones": (
        'imds_vm(location="westeurope", zone=4)',
        ["the region westeurope has no availability zone 4.", "*its zones: 1, 2, 3"],
    ),
    "edge zone elsewhere": (
        'imds_vm(location="westeurope", edge_zone="losangeles")',
        ["the region westeurope has no edge zone 'losangeles'.", "*its edge zones: none"],
    ),
    "interfaces beyond the size": (
        'imds_vm(vm_size="Standard_D2s_v5", nics=5)',
        ["the size Standard_D2s_v5 does not allow 5 network interfaces*", "*sizes that do: *"],
    ),
    "disks beyond every size": ("imds_vm(data_disks=1000)", ["no size allows *1000 data disks*", "*ask for less"]),
    "image of another system": (
        'imds_vm(image="flatcar", os_type="Windows")',
        ["the image flatcar is Linux, the VM is asked to be Windows.", "*leave one of the two out"],
    ),
    "option": ('imds(newst="2020-10-01")', ["unknown option of the marker imds 'newst'.", "*did you mean 'newest'?"]),
    "api-version": ('imds(newest="2020-10-02")', ["unknown api-version '2020-10-02'.", "*did you mean '2020-1*"]),
    "api-version of a wrong type": ("imds(newest=2020)", ["unknown api-version 2020.", "*known: 2017-03-01, *"]),
    "cloud": ('imds(cloud="AzurePublic")', ["unknown value of the knob cloud 'AzurePublic'.", "*'AzurePublicCloud'?"]),
    "chain": ('imds(chain="2025")', ["unknown chain '2025'.", "*did you mean *", "*known: 2024, 2026"]),
    "chain of a wrong type": ("imds(chain=2024)", ["unknown chain 2024.", "*known: 2024, 2026"]),
    "aia": (
        'imds(aia="loopbak")',
        ["unknown aia mode 'loopbak'.", "*did you mean 'loopback'?", "*known: dead, dual, *"],
    ),
    "aia in a list": ('imds(aia=["dead"])', ["unknown aia mode [[]'dead'[]].", "*known: dead, dual, *"]),
    "digest_oid": ('imds(digest_oid="sha1")', ["unknown digest_oid 'sha1'.", "*did you mean *", "*known: sha256, *"]),
    "identity_v2": ("imds(identity_v2=2)", ["identity_v2 cannot be 2.", "*right: True or False"]),
    "rate_limit": ("imds(rate_limit=5)", ["rate_limit cannot be 5.", "*right: True or False"]),
    "chaos": ('imds(chaos="no")', ["chaos cannot be 'no'.", "*right: True or False"]),
    "rate_limit is no knob": ("imds_vm(rate_limit=True)", ["unknown VM knob 'rate_limit'.", "*known: admin_*"]),
    "digest": ('imds(digest="sha256")', ["unknown option of the marker imds 'digest'.", "*did you mean 'digest_oid'?"]),
    "chain is no knob": ('imds_vm(chain="2026")', ["unknown VM knob 'chain'.", "*did you mean *", "*known: admin_*"]),
    "position": ('imds("2020-10-01")', ["the marker imds cannot be ('2020-10-01',).", "  right: imds([*], newest=*"]),
}


def test_mistakes_fail_at_setup_with_what_there_is(pytester: pytest.Pytester, run: Run) -> None:
    """In one run: to begin one takes longer than its test."""
    paths = [
        pytester.makepyfile(**{f"test_{number}": f"import pytest\n\n@pytest.mark.{marker}\ndef test_it(): ..."})
        for number, (marker, _) in enumerate(MISTAKES.values())
    ]
    result = run()
    result.assert_outcomes(errors=len(MISTAKES))
    for path, (_, (first, *rest)) in zip(paths, MISTAKES.values(), strict=True):
        result.stdout.fnmatch_lines([f"{path}:3: {first}", *rest], consecutive=True)
    # Where in the plugin it was found out tells the user nothing.
    result.stdout.no_fnmatch_line("*plugin.py*")


# Where the mistake stands, marked by MISTAKE at its line.
PLACES = {
    "function": """
        import pytest

        @pytest.mark.imds_vm("linx")  # MISTAKE
        def test_it(): ...
    """,
    "several lines": """
        import pytest

        @pytest.mark.parametrize("n", [1])
        @pytest.mark.imds_vm(  # MISTAKE
            "linux",
            loction="westeurope",
        )
        def test_it(n): ...
    """,
    "async function": """
        import pytest

        @pytest.mark.imds_vm("linx")  # MISTAKE
        async def test_it(): ...
    """,
    "class": """
        import pytest

        @pytest.mark.imds_vm("linux")
        class TestOther: ...

        @pytest.mark.imds_vm("linx")  # MISTAKE
        class TestIt:
            def test_it(self): ...
    """,
    "pytestmark of a class": """
        import pytest

        class TestIt:
            pytestmark = [
                pytest.mark.imds_vm("linx"),  # MISTAKE
            ]

            def test_it(self): ...
    """,
    "class around a class": """
        import pytest

        @pytest.mark.imds_vm("linx")  # MISTAKE
        class TestOuter:
            class TestInner:
                def test_it(self): ...
    """,
    "module": """
        import pytest

        pytestmark = pytest.mark.imds_vm("linx")  # MISTAKE

        def test_it(): ...
    """,
    "module with a list": """
        import pytest

        pytestmark = [
            pytest.mark.filterwarnings("error"),
            pytest.mark.imds_vm("linx"),  # MISTAKE
        ]

        def test_it(): ...
    """,
    "module with an annotation": """
        import pytest

        pytestmark: pytest.MarkDecorator = pytest.mark.imds_vm("linx")  # MISTAKE

        def test_it(): ...
    """,
    "name": """
        import pytest

        on_linux = pytest.mark.imds_vm("linx")  # MISTAKE

        @on_linux
        def test_it(): ...
    """,
    "from pytest": """
        from pytest import mark

        @mark.imds_vm("linx")  # MISTAKE
        def test_it(): ...
    """,
    "parameter": """
        import pytest

        @pytest.mark.parametrize(
            "n",
            [
                pytest.param(1, marks=pytest.mark.imds_vm("linx")),  # MISTAKE
            ],
        )
        def test_it(n): ...
    """,
    "other marker nearer": """
        import pytest

        @pytest.mark.imds_vm("linx")  # MISTAKE
        @pytest.mark.imds(newest="2020-10-01")
        def test_it(): ...
    """,
    "same marker nearer": """
        import pytest

        @pytest.mark.imds_vm(loction="westeurope")  # MISTAKE
        class TestIt:
            @pytest.mark.imds_vm(name="web")
            def test_it(self): ...
    """,
    "same marker farther": """
        import pytest

        pytestmark = pytest.mark.imds_vm(name="web")

        class TestIt:
            @pytest.mark.imds_vm(loction="westeurope")  # MISTAKE
            def test_it(self): ...
    """,
    "same name elsewhere": """
        import pytest

        class TestOther:
            @pytest.mark.skip
            @pytest.mark.imds_vm("linux")
            def test_it(self): ...

        class TestIt:
            @pytest.mark.imds_vm("linx")  # MISTAKE
            def test_it(self): ...
    """,
}


def test_mistakes_are_shown_at_the_lines_of_their_markers(pytester: pytest.Pytester, run: Run) -> None:
    """In one run, too."""
    sources = {f"test_{number}": textwrap.dedent(source).strip() for number, source in enumerate(PLACES.values())}
    pytester.makepyfile(**sources)
    shown = re.findall(r"^(?:E +)?\S*/(\w+)\.py:(\d+): unknown VM ", run().stdout.str(), re.MULTILINE)
    assert {*shown} == {
        (name, str(number))
        for name, source in sources.items()
        for number, line in enumerate(source.splitlines(), start=1)
        if "MISTAKE" in line
    }


def test_profile_of_the_ini_file_that_does_not_exist_fails_at_setup(pytester: pytest.Pytester, run: Run) -> None:
    path = pytester.makepyfile("def test_without(): ...\n\ndef test_it(imds_vm): ...")
    result = run(ini=("imds_profile = linx",))
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"{path}:3: unknown VM profile 'linx'.", "*did you mean 'linux'?"])


def test_mistake_of_one_test_does_not_touch_the_next(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.imds_vm("linx")
        def test_mistaken(): ...

        def test_next(imds_vm):
            assert imds_vm.profile == "linux"
        """
    )
    run().assert_outcomes(errors=1, passed=1)


def test_misspelt_marker_is_an_error_of_pytest(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("import pytest\n\n@pytest.mark.imds_vn('linux')\ndef test_it(): ...")
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*'imds_vn' not found in `markers`*"])
