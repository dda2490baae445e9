"""Every block of code in the documents is run, or says what runs it."""

from __future__ import annotations

import ast
import doctest
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from shutil import copytree
from urllib.parse import unquote

# Pytester forgets what its runs import first, and half a library breaks the next run.
import cryptography.x509.verification  # noqa: F401
import faker  # noqa: F401
import pytest
import requests  # noqa: F401
from markdown_it import MarkdownIt
from markdown_it.token import Token

import pytest_imds.server
import pytest_imds.trust.mint
import pytest_imds.trust.verifier
from pytest_imds.config import MARKERS
from tests import sessions

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FAILING = DOCS / "examples_failing"
DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "fixtures_data" / "README.md"]
    + [page for page in DOCS.rglob("*.md") if "_build" not in page.parts]
)
MARKDOWN = MarkdownIt("commonmark").enable("table")
TRIVIAL = "def test_a_vm_is_there(imds_vm):\n    assert imds_vm.name\n"
# Documents have tests in their own order, and Hypothesis would be imported anew in every run.
OTHER_PLUGINS = ("-p", "no:randomly", "-p", "no:hypothesispytest", "-p", "no:socket")
FRESH_MACHINE = [
    "python3 -m venv .venv && .venv/bin/pip install '.[examples]' && .venv/bin/pytest docs/examples",
    "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest -n auto",
]


@dataclass(frozen=True)
class Block:
    """A fenced or indented block of code in a document."""

    document: Path
    line: int
    language: str
    argument: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


@cache
def tokens(document: Path) -> list[Token]:
    return MARKDOWN.parse(document.read_text(encoding="utf-8"))


def blocks() -> Iterator[Block]:
    for document in DOCUMENTS:
        for token in tokens(document):
            if token.type in ("fence", "code_block"):
                language, _, argument = token.info.partition(" ")
                line = token.map[0] + 1 if token.map else 0
                yield Block(document, line, language, argument.strip(), token.content)


BLOCKS = list(blocks())


def defines_tests(block: Block) -> bool:
    return block.language == "python" and any(
        isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name.lower().startswith("test")
        for node in ast.parse(block.text).body
    )


TESTS = {
    page: found
    for page in DOCUMENTS
    if (found := [one for one in BLOCKS if one.document == page and defines_tests(one)])
}


def run_pytest(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the tests in pytester's folder; every one has to pass, and there has to be one."""
    with pytest.MonkeyPatch.context() as patched:
        # To find every plugin that is installed takes longer than the tests of most pages do.
        patched.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        result = pytester.runpytest_inprocess("-W", "error", "-p", "pytest_imds.plugin", *arguments)
    assert result.ret == pytest.ExitCode.OK
    assert set(result.parseoutcomes()) == {"passed"}
    return result


def run_python(block: Block, pytester: pytest.Pytester) -> None:
    exec(compile(block.text, block.where, "exec"), {"__name__": "block"})


def run_doctest(block: Block, pytester: pytest.Pytester) -> None:
    test = doctest.DocTestParser().get_doctest(block.text, {}, block.where, str(block.document), block.line)
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
    assert result.attempted
    assert not result.failed


def runs_in_ci(command: str, pytester: pytest.Pytester) -> None:
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def runs_here(command: str, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_trivial=TRIVIAL)
    run_pytest(pytester, *shlex.split(command)[1:])


# What runs the commands that the documents tell people to run.
COMMANDS: dict[str, Callable[[str, pytest.Pytester], None]] = {
    **dict.fromkeys(FRESH_MACHINE, runs_in_ci),
    "pytest --imds-seed=7": runs_here,
    "pytest --imds-guard": runs_here,
    "pytest -p no:faker": runs_here,
    "pytest --imds-report=report.html": runs_here,
    "pytest tests/browser": runs_in_ci,
}


def run_commands(block: Block, pytester: pytest.Pytester) -> None:
    if block.text.startswith("$ "):
        copytree(FAILING, pytester.path / FAILING.relative_to(ROOT))
        sessions.run(block.text)
        return
    for command in block.text.splitlines():
        assert command in COMMANDS, "nothing is known to run it"
        COMMANDS[command](command, pytester)


def run_with_configuration(block: Block, pytester: pytest.Pytester) -> None:
    name = {"toml": "pyproject.toml", "ini": "pytest.ini"}[block.language]
    (pytester.path / name).write_text(block.text, encoding="utf-8")
    pytester.makepyfile(test_trivial=TRIVIAL)
    run_pytest(pytester, "--strict-config", "-c", name)


def check_literalinclude(block: Block, pytester: pytest.Pytester) -> None:
    """Sphinx includes it, and the tests of docs/examples run it, or a session: see that they are the same file."""
    file = (block.document.parent / block.argument).resolve()
    assert file.parent in (DOCS / "examples", FAILING)
    assert file.name.startswith("test_")
    source = file.read_text(encoding="utf-8")
    defined = {node.name for node in ast.parse(source).body if hasattr(node, "name")}
    part = re.search(r"^:pyobject: (\w+)$", block.text, re.MULTILINE)
    assert part is None or part[1] in defined
    bounds = re.findall(r'^:(?:start-at|end-before): "?(.+?)"?$', block.text, re.MULTILINE)
    assert [bound for bound in bounds if bound not in source] == []


def check_toctree(block: Block, pytester: pytest.Pytester) -> None:
    pages = [line for line in block.text.splitlines() if line and not line.startswith(":")]
    assert pages
    assert [page for page in pages if not (block.document.parent / f"{page}.md").is_file()] == []


def check_autodoc(block: Block, pytester: pytest.Pytester) -> None:
    names = re.findall(r"^\.\. auto\w+:: ([\w.]+)", block.text, re.MULTILINE)
    assert names
    for name in names:
        pkgutil.resolve_name(name)


LANGUAGES: dict[str, Callable[[Block, pytest.Pytester], None]] = {
    "python": run_python,
    "pycon": run_doctest,
    "console": run_commands,
    "bash": run_commands,
    "toml": run_with_configuration,
    "ini": run_with_configuration,
    "{literalinclude}": check_literalinclude,
    "{toctree}": check_toctree,
    "{eval-rst}": check_autodoc,
}


def marks(block: Block) -> list[pytest.MarkDecorator]:
    return [pytest.mark.imds_namespace()] if "$ pytest-imds run" in block.text else []


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=block.where, marks=marks(block)) for block in BLOCKS if not defines_tests(block)]
)
def test_every_block_of_code_works(block: Block, pytester: pytest.Pytester) -> None:
    assert block.language in LANGUAGES, f"{block.where}: no test knows the language {block.language!r}"
    LANGUAGES[block.language](block, pytester)


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in TESTS])
def test_every_block_of_tests_passes(page: Path, pytester: pytest.Pytester) -> None:
    """All of a page in one run: to begin one takes longer than most blocks do."""
    files = {f"test_line_{block.line}": block.text for block in TESTS[page]}
    pytester.makepyfile(**files)
    result = run_pytest(pytester, "-v")
    passed = re.findall(r"^(test_line_\d+)\.py::.* PASSED", result.stdout.str(), re.MULTILINE)
    assert {*passed} == files.keys()


def test_the_readme_has_the_commands_for_a_fresh_machine() -> None:
    commands = [block.text.strip() for block in BLOCKS if block.document == ROOT / "README.md" and "venv" in block.text]
    assert commands == FRESH_MACHINE


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def links(document: Path) -> Iterator[str]:
    for token in tokens(document):
        for part in token.children or ():
            target = part.attrGet("href" if part.type == "link_open" else "src")
            if target and "://" not in str(target):
                yield str(target)


@cache
def anchors(document: Path) -> set[str]:
    parsed = tokens(document)
    titles = [after.content for token, after in pairwise(parsed) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in DOCUMENTS])
def test_every_link_leads_somewhere(document: Path) -> None:
    dead = []
    for target in links(document):
        name, _, anchor = unquote(target).partition("#")
        file = document.parent / name if name else document
        if not file.exists() or (anchor and anchor not in anchors(file)):
            dead.append(target)
    assert dead == []


def test_links_are_found() -> None:
    assert "docs/fidelity.md" in set(links(ROOT / "README.md"))
    assert "api-versions" in anchors(DOCS / "reference" / "server.md")


def public_names(pytester: pytest.Pytester) -> dict[str, set[str]]:
    """Return what pytest itself says that the plugin adds."""
    told = {
        page: pytester.runpytest_inprocess(*OTHER_PLUGINS, f"--{page}").stdout.str() for page in ("fixtures", "help")
    }
    return {
        "fixtures": set(re.findall(r"^((?:make_)?imds_\w+)", told["fixtures"], re.MULTILINE)),
        "options": set(re.findall(r"^ +(--imds-\w+|imds_\w+)", told["help"], re.MULTILINE)),
        "markers": set(MARKERS),
    }


def test_the_readme_names_what_exists_and_nothing_else(pytester: pytest.Pytester) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"--imds-\w+|\b(?:make_)?imds_\w+|(?<=mark\.)imds\b", readme))
    assert named == set().union(*public_names(pytester).values())


def test_the_reference_has_what_exists_and_nothing_else(pytester: pytest.Pytester) -> None:
    pages = {page: DOCS / "reference" / f"{page}.md" for page in ("fixtures", "options", "markers")}
    title = re.compile(r"^(?:## |\| `)(--imds-\w+|(?:make_)?imds\w*)", re.MULTILINE)
    named = {name: set(title.findall(page.read_text(encoding="utf-8"))) for name, page in pages.items()}
    assert named == public_names(pytester)


@pytest.mark.parametrize("line", [pytest.param(line, id=name) for name, line in MARKERS.items()])
def test_the_reference_has_the_signature_of_a_marker(line: str) -> None:
    signature = line[: line.index(": ")]
    assert f"`{signature}`" in (DOCS / "reference" / "markers.md").read_text(encoding="utf-8")


def test_the_reference_names_everything_that_can_be_imported() -> None:
    reference = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    words = set(re.findall(r"\w+", reference))
    assert set(pytest_imds.__all__) - {"__version__"} - words == set()


def generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(root / "docs" / "generate.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def test_the_generated_pages_are_up_to_date() -> None:
    checked = generate(ROOT, "--check")
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the documents, to be spoilt."""
    copytree(DOCS, tmp_path / "docs", ignore=lambda folder, names: {"_build", "examples", "__pycache__"} & {*names})
    (tmp_path / "fixtures_data").mkdir()
    page = Path("fixtures_data", "README.md")
    (tmp_path / page).write_bytes((ROOT / page).read_bytes())
    return tmp_path


def test_generated_pages_that_were_edited_are_found_and_written_anew(copied: Path) -> None:
    pages = [copied / page for page in ("docs/fidelity.md", "docs/reference/vm.md", "fixtures_data/README.md")]
    good = [page.read_text(encoding="utf-8") for page in pages]
    for page, text in zip(pages, good, strict=True):
        page.write_text(text.replace("| --- |", "| --- |\n| our own |", 1), encoding="utf-8")
    checked = generate(copied, "--check")
    found = [str(page.relative_to(copied)) in checked.stderr for page in pages]
    assert (checked.returncode, found) == (1, [True, True, True])
    assert generate(copied).returncode == 0
    assert [page.read_text(encoding="utf-8") for page in pages] == good
