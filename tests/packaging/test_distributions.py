"""The wheel, the sdist and an editable install, as a user gets them: each runs a real test from a clean venv."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SHIPPED = (
    ".ci",
    "pytest_imds",
    "fixtures_data",
    "tests",
    "docs",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "pyproject.toml",
)

REAL_TEST = """
import json, urllib.request
import pytest_imds

def test_the_vm_answers(imds_server, imds_vm):
    url = imds_server.url + "/metadata/instance/compute?api-version=2021-02-01"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Metadata": "true"}), timeout=10) as reply:
        assert json.load(reply)["vmId"] == imds_vm.vm_id
    print(pytest_imds.__version__, pytest_imds.__file__)
"""


def run(command: Sequence[str | Path], cwd: Path) -> str:
    # What the surrounding run has set for its own Python is not for another one.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST", "PYTHON"))
    }
    done = subprocess.run([*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is shipped, so that building leaves nothing in the checkout."""
    tree = tmp_path_factory.mktemp("tree")
    for name in SHIPPED:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__", "_build"))
        else:
            shutil.copy(source, tree / name)
    return tree


@pytest.fixture(scope="module")
def built(tree: Path) -> Path:
    """The folder with the sdist, and the wheel that was built from it."""
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", tree / "dist", tree], tree)
    return tree / "dist"


@pytest.fixture(scope="module")
def clean_python(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a virtual environment that has what builds, the wheel, and what the wheel says that it needs."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    # Faker alone has two thousand modules to compile.
    pip(python, "install", "--no-compile", "hatchling", "editables", next(built.glob("*.whl")))
    return python


def pip(python: Path, command: str, *arguments: str | Path) -> None:
    """Run the pip of this environment for another one; one of its own would take seconds to install."""
    run([sys.executable, "-m", "pip", "--python", python, "-q", command, *arguments], python.parent)


@pytest.mark.parametrize("kind", ["wheel", "sdist", "editable"])
def test_every_way_to_install_runs_a_real_test(
    kind: str, tree: Path, built: Path, clean_python: Path, tmp_path: Path
) -> None:
    what: dict[str, list[str | Path]] = {
        "wheel": [next(built.glob("*.whl"))],
        "sdist": [next(built.glob("*.tar.gz"))],
        "editable": ["-e", tree],
    }
    # Each takes the place of the one before; a build would get an environment of its own otherwise.
    pip(clean_python, "install", "--force-reinstall", "--no-deps", "--no-build-isolation", *what[kind])
    (tmp_path / "test_real.py").write_text(REAL_TEST)
    told = run([clean_python, "-m", "pytest", "-q", "-s", "test_real.py"], tmp_path)
    assert "1 passed" in told
    assert (str(tree) in told) == (kind == "editable")


def test_the_wheel_has_the_data_and_nothing_that_is_not_the_package(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        metadata = next(name for name in names if name.endswith("entry_points.txt"))
        assert "pytest_imds.plugin = pytest_imds.plugin" in wheel.read(metadata).decode()
    shipped = {name for name in names if not name.startswith("pytest_imds-")}
    package = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "pytest_imds").rglob("*.py")}
    facts = {f"pytest_imds/fixtures_data/{path.name}" for path in (CHECKOUT / "fixtures_data").iterdir()}
    folder = CHECKOUT / "pytest_imds" / "report"
    report = {str(path.relative_to(CHECKOUT)) for end in ("html", "css", "js") for path in folder.glob(f"*.{end}")}
    assert shipped == package | facts | report | {"pytest_imds/py.typed"}


def test_the_sdist_has_what_the_tests_and_the_docs_need(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        roots = {Path(name).parts[1] for name in sdist.getnames()}
    assert set(SHIPPED) <= roots
