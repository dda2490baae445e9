"""The picture of the page that the documents have.

``PYTEST_IMDS_PICTURE=docs/images/report.png pytest tests/browser/test_picture.py`` makes it anew.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.browser.reader import Reader

PICTURE = "PYTEST_IMDS_PICTURE"
SIZE = (1400, 723)
AT_MOST_BYTES = 200_000


def test_the_page_can_be_pictured(reader: Reader, report: Path, tmp_path: Path) -> None:
    reader.open(report, width=SIZE[0], height=SIZE[1])
    row = reader.expand("test_backs_off_and_waits")
    row.find_elements("css selector", ".request")[1].click()
    reader.settle()
    reader.script("document.activeElement.blur(); scrollTo(0, 0)")
    picture = Path(os.environ.get(PICTURE, tmp_path / "report.png"))
    assert reader.driver.save_screenshot(str(picture))
    assert picture.stat().st_size > 20_000


def test_the_picture_in_the_documents_is_no_burden() -> None:
    assert (Path(__file__).parents[2] / "docs" / "images" / "report.png").stat().st_size < AT_MOST_BYTES
