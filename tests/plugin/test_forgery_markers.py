"""Which forgeries ``imds_forgery`` gives, as the marker ``imds_forgeries`` says, and what a mistake in it gets."""

from __future__ import annotations

import re

import pytest

from pytest_imds import CHECKS, FORGERIES
from tests.plugin.conftest import Run

NAMES = list(FORGERIES)
OF_DIGEST = [name for name, forgery in FORGERIES.items() if forgery.must_check == "digest"]


def collected(result: pytest.RunResult, file: str = r"\w+") -> list[str]:
    """The parameters of the tests that were collected."""
    return re.findall(rf"^test_{file}\.py::.*\[(.*)\]$", "\n".join(result.outlines), re.MULTILINE)


def test_one_test_is_run_for_each_forgery_in_their_order(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("def test_it(imds_forgery): ...")

    assert collected(run("--collect-only", "-q")) == NAMES


# What the markers of a test, its class and its module say, and what is left.
CHOSEN: dict[str, tuple[str, str, str, list[str]]] = {
    "a name": ("", "", '(only="sha1")', ["sha1"]),
    "a list of names": ("", "", '(only=["replayed", "sha1"])', ["sha1", "replayed"]),
    "a check": ("", "", '(only="digest")', OF_DIGEST),
    "without a check": ("", "", '(only=["digest", "nonce"], skip="nonce")', OF_DIGEST),
    "without a name": ("", "", '(skip=["sha1"])', [name for name in NAMES if name != "sha1"]),
    "nothing said": ("", "", "()", NAMES),
    "nearer wins": ('(only="nonce")', '(only="vm")', '(only="digest")', OF_DIGEST),
    "of the class": ('(only="nonce")', '(only="digest")', "", OF_DIGEST),
    "of the module": ('(only="digest")', "", "", OF_DIGEST),
    "merged": ('(skip="sha1")', '(only="digest")', "", ["unknown-digest"]),
    "none takes back": ('(only="sha1")', "", "(only=None)", NAMES),
}


def marked(module: str, class_: str, function: str) -> str:
    mark = "pytest.mark.imds_forgeries"
    return "\n".join(
        [
            "import pytest",
            f"pytestmark = {mark}{module}" if module else "",
            f"@{mark}{class_}" if class_ else "",
            "class TestIt:",
            f"    @{mark}{function}" if function else "",
            "    def test_it(self, imds_forgery): ...",
        ]
    )


def test_markers_narrow_the_forgeries_and_the_nearer_wins(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(**{f"test_{number}": marked(*said) for number, (*said, _) in enumerate(CHOSEN.values())})
    result = run("--collect-only", "-q")

    assert {name: collected(result, str(number)) for number, name in enumerate(CHOSEN)} == {
        name: left for name, (*_, left) in CHOSEN.items()
    }


def test_the_marker_alone_does_nothing(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.imds_forgeries(only="sha1")
        def test_it(request):
            assert request.fixturenames == ["request"]
        """
    )
    run().assert_outcomes(passed=1)


# What a marker says that there is not, and what the message says, line by line.
MISTAKES = {
    "name": ('(only="sha-1")', ["unknown forgery or check 'sha-1'.", "*did you mean 'sha1'?", "*known: *"]),
    "name in a list": ('(skip=["sha1", "tampered"])', ["unknown forgery or check 'tampered'.", "*did you mean *"]),
    "argument": (
        '(without="sha1")',
        ["unknown argument of the marker imds_forgeries 'without'.", "*known: only, skip"],
    ),
    "position": ('("sha1")', ["the marker imds_forgeries cannot be ('sha1',).", "*right: imds_forgeries(only=None, *"]),
    "number": ("(only=5)", ["only cannot be 5.", "*right: the name of a forgery or of a check, or a list of them"]),
    "nothing": ("(only=[])", ["only and skip cannot be ([[][]], None).", "*right: names that leave a forgery*"]),
    "nothing left": ('(only="sha1", skip="digest")', ["only and skip cannot be ('sha1', 'digest').", "*right: *"]),
}


def test_a_mistake_is_an_error_of_the_collection_at_the_user_s_line(pytester: pytest.Pytester, run: Run) -> None:
    test = "import pytest\n\n@pytest.mark.imds_forgeries{}\ndef test_it(imds_forgery): ..."
    pytester.makepyfile(**{f"test_{number}": test.format(said) for number, (said, _) in enumerate(MISTAKES.values())})
    result = run()
    result.assert_outcomes(errors=len(MISTAKES))
    for number, (_, (first, *rest)) in enumerate(MISTAKES.values()):
        path = pytester.path / f"test_{number}.py"
        result.stdout.fnmatch_lines([f"{path}:3: {first}", *rest], consecutive=True)
    result.stdout.no_fnmatch_line("*plugin.py*")


def test_a_mistake_in_the_marker_of_the_module_is_shown_there(pytester: pytest.Pytester, run: Run) -> None:
    path = pytester.makepyfile(marked('(only="shal")', "", '(skip="replayed")'))
    result = run()
    result.stdout.fnmatch_lines([f"{path}:2: unknown forgery or check 'shal'."])


def test_every_check_may_be_asked_for(pytester: pytest.Pytester, run: Run) -> None:
    tests = [
        f"@pytest.mark.imds_forgeries(only={check!r})\ndef test_{number}(imds_forgery): ..."
        for number, check in enumerate(CHECKS)
    ]
    pytester.makepyfile("\n".join(["import pytest", *tests]))

    assert sorted(collected(run("--collect-only", "-q"))) == sorted(NAMES)


def test_a_forgery_that_is_asked_for_too_late_is_an_error_that_says_so(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import unittest
        import pytest

        def test_by_name(request):
            request.getfixturevalue("imds_forgery")

        class TestOfUnittest(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def forged(self, imds_forgery): ...

            def test_it(self): ...
        """
    )
    result = run()
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(["imds_forgery runs a test once for each forgery, so it has to be an argument of*"] * 2)
