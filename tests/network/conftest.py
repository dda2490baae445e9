"""Runs of pytest inside a test, as those of the plugin have them."""

from tests.plugin.conftest import run, run_on_workers

__all__ = ["run", "run_on_workers"]
