"""The picture of the page that the documents have: it shows a run of this project's own tests.

``PYTEST_IMDS_PICTURE=docs/images/report.png pytest tests/browser/test_picture.py`` makes it anew, from a run of the
examples; with ``PYTEST_IMDS_PAGE=report.html`` from the page of another run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.reader import Reader

PICTURE, PAGE = "PYTEST_IMDS_PICTURE", "PYTEST_IMDS_PAGE"
SIZE = (1400, 723)
AT_MOST_BYTES = 200_000
ROOT = Path(__file__).parents[2]
EXAMPLES = ("docs/examples", "docs/examples_failing")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The page of a run of the project's own tests."""
    if PAGE in os.environ:
        return Path(os.environ[PAGE]).resolve()
    page = tmp_path / "report.html"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--imds-report={page}", *EXAMPLES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert re.search(r"^1 failed, \d{3} passed", done.stdout, re.MULTILINE), done.stdout
    return page


def test_the_page_of_our_own_tests_is_opened_filtered_and_pictured(reader: Reader, own: Path, tmp_path: Path) -> None:
    reader.open(own, width=SIZE[0], height=SIZE[1])
    everything = reader.text("#shown")
    reader.choose("gone")
    assert "test_a_patient_client_survives_it" in reader.shown()
    assert "test_a_good_document_is_trusted" not in reader.shown()
    assert reader.text("#shown") != everything

    row = reader.expand("test_a_patient_client_survives_it")
    row.find_elements("css selector", ".request")[1].click()
    reader.settle()
    assert "410" in reader.text("#exchange")
    reader.script("document.activeElement.blur(); scrollTo(0, 0)")
    picture = Path(os.environ.get(PICTURE, tmp_path / "report.png"))
    assert reader.driver.save_screenshot(str(picture))
    assert picture.stat().st_size > 20_000


def test_the_picture_in_the_documents_is_no_burden() -> None:
    assert (ROOT / "docs" / "images" / "report.png").stat().st_size < AT_MOST_BYTES
