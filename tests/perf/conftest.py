"""The budgets: each a ratio of two things measured in the same run, in turn.

A shared machine is noisy, and noise hits whichever of the two is being measured;
so a ratio is taken up to five times, and the best one counts.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

ROWS: list[tuple[str, float, float]] = []
TRIES = 5

Budget = Callable[[str, float, Callable[[], float]], None]


@pytest.fixture
def budget() -> Budget:
    """Hold what is measured against its budget, and put both into the table."""

    def hold(what: str, most: float, measure: Callable[[], float]) -> None:
        ratio = measure()
        for _ in range(TRIES - 1):
            if ratio <= most:
                break
            ratio = min(ratio, measure())
        ROWS.append((what, ratio, most))
        assert ratio <= most, f"{what}: {ratio:.3f}, budget {most}"

    return hold


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    if ROWS:
        width = max(len(what) for what, _, _ in ROWS)
        terminalreporter.section("ratios")
        for what, ratio, most in sorted(ROWS):
            terminalreporter.write_line(f"{what:<{width}}  {ratio:8.4f}  budget {most:.4g}")
