"""What a run with ``--imds-chaos`` tells: its seed, and what was broken. The plugin loads it for such a run alone."""

from __future__ import annotations

import pytest

from pytest_imds.config import CHAOS, OPTIONS


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which seed chaos has."""
    seed = config.stash[OPTIONS].chaos
    return None if seed is None else f"imds chaos: seed {seed} (again: --imds-chaos={seed})"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what chaos has broken, test by test."""
    seed = config.stash[OPTIONS].chaos
    if seed is None:
        return
    terminalreporter.section(f"imds chaos, seed {seed}")
    ended = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "teardown"
    ]
    for report in ended:
        broken = [str(line) for name, line in report.user_properties if name == CHAOS]
        if broken:
            terminalreporter.write_line("\n  ".join([report.nodeid, *broken]))
    left = sum(all(name != CHAOS for name, _ in report.user_properties) for report in ended)
    terminalreporter.write_line(f"{len(ended) - left} tests with requests broken, {left} without")
