"""The option ``--imds-report``: one page about the whole run. The plugin loads it for such a run alone."""

from __future__ import annotations

import os
import shlex
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import pytest

from pytest_imds import config as configuration
from pytest_imds.factory import ServerFactory
from pytest_imds.report.page import Finished, page
from pytest_imds.report.story import story
from pytest_imds.traffic.shortened import shortened

NAME = "imds report"
# Where the report of a test's end has its story, on its way from a worker of xdist too.
STORY = "imds_story"
# How many characters are kept of what pytest says of a test: the end, where the error is.
KEPT_CHARACTERS = 8000
# What counts of the outcomes of a test's phases, worst first.
WORST = ("failed", "error", "xpassed", "xfailed", "skipped", "passed")


def begin(config: pytest.Config, named: str) -> None:
    """Gather what tests tell from now on, where the results of all of them arrive.

    Raises:
        pytest.UsageError: no page can be written there.
    """
    # Editors collect tests all the time: a run that runs none leaves the page as it is.
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        config.pluginmanager.register(Reporting(_file(config, named)), NAME)


def attach(report: pytest.TestReport, item: pytest.Item, servers: ServerFactory) -> None:
    """Put the story of a test that has ended into the report of its end, as text, which workers can send."""
    if servers.started:
        vars(report)[STORY] = list(story(servers.started, shlex.join(configuration.again(item))))


def _file(config: pytest.Config, named: str) -> Path:
    file = Path(config.invocation_params.dir, named)
    problem = None
    if file.suffix.lower() not in (".html", ".htm"):
        problem = "that is no name of a page.\n  right: a file that ends in .html"
    elif not file.parent.is_dir():
        problem = f"there is no folder {file.parent}.\n  right: a file in a folder that exists"
    elif file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        problem = "it cannot be written.\n  right: a file that may be written, or a new one in a folder that may be"
    if problem:
        raise pytest.UsageError(f"the option --imds-report cannot be {named!r}: {problem}")
    return file


class Reporting:
    """Hooks that gather what tests tell, and write the page when the run ends.

    Args:
        file: where it is written.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._phases: dict[str, list[pytest.TestReport]] = {}
        self._ended: dict[str, Finished | None] = {}  # None is a test without a server
        self._told = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather the phases of a test; of a test that is run again, those of the last time count."""
        self._phases.setdefault(report.nodeid, []).append(report)
        if report.when == "teardown":
            told = vars(report).pop(STORY, None)  # pytest keeps every report to the end of the run
            phases = self._phases.pop(report.nodeid)
            self._ended[report.nodeid] = None if told is None else _finished(phases, *told)

    def pytest_sessionfinish(self) -> None:
        """Write the page."""
        finished = [test for test in self._ended.values() if test is not None]
        # Workers send what they have run in any order: the tests of a file stay together.
        finished.sort(key=lambda test: test.node_id.partition("::")[0])
        text = page(
            finished,
            others=len(self._ended) - len(finished),
            made=datetime.now(timezone.utc),
            version=metadata.version("pytest-imds"),
        )
        try:
            self._file.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            self._told = f"IMDS report: not written: {error}"
        else:
            self._told = f"IMDS report: {self._file}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where it is."""
        terminalreporter.write_sep("-", self._told)


def _finished(phases: list[pytest.TestReport], shown: str, apart: str) -> Finished:
    outcomes = {_outcome(phase) for phase in phases}
    return Finished(
        node_id=phases[0].nodeid,
        outcome=next(outcome for outcome in WORST if outcome in outcomes),
        duration_s=sum(phase.duration for phase in phases),
        why="\n\n".join(filter(None, map(_why, phases))),
        shown=shown,
        apart=apart,
    )


def _outcome(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed"
    return "error" if report.failed and report.when != "call" else report.outcome


def _why(report: pytest.TestReport) -> str:
    """Return what pytest says of a phase that did not pass, or was not to."""
    if report.longrepr is None:
        return str(getattr(report, "wasxfail", ""))
    if isinstance(report.longrepr, tuple):  # a test that was skipped: the file, the line, the reason
        return report.longrepr[-1]
    text = shortened(report.longreprtext)
    return text if len(text) <= KEPT_CHARACTERS else f"…{text[-KEPT_CHARACTERS:]}"
