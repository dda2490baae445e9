"""A browser without a window, and a page for it: skipped, with the reason, where there is none."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import suite
from tests.browser.reader import Reader

# It talks to nobody but us.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
PROGRAMS = ("chromium", "chromedriver")


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install '.[browser]'")
    from selenium.webdriver.chrome.service import Service

    chromium, chromedriver = map(shutil.which, PROGRAMS)
    if not (chromium and chromedriver):
        pytest.skip(f"there is no {' or no '.join(PROGRAMS)}: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(executable_path=chromedriver))
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a real run, on two workers."""
    folder = tmp_path_factory.mktemp("run")
    for name, tests in suite.FILES.items():
        (folder / name).write_text(suite.CLIENT + tests, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    # A file a worker: its tests come in their order, and the picture is always the same.
    arguments = [
        "-n",
        "2",
        "--dist=loadfile",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "--imds-report=report.html",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert suite.ENDS in done.stdout
    return folder / "report.html"


@pytest.fixture
def reader(driver: Any) -> Iterator[Reader]:
    """The browser; whatever the page does, nothing complains, and nothing is fetched."""
    reader = Reader(driver)
    reader.complaints()  # what is there from the page before
    yield reader
    assert reader.complaints() == []
    assert reader.script("return performance.getEntriesByType('resource').map((one) => one.name)") == []
