"""What the tests of clients in outages share: what goes wrong, when they have asked, and Node."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_imds import Clock, Fault, Faults
from tests.clients.redirected import TIMEOUT_S

# The time of a test also goes on while real work is done.
RELATIVE, ABSOLUTE_S = 0.05, 0.5
FOR_EVER = 10**6


class Outage(NamedTuple):
    """A fault that does not pass, and the error of ``errors.json`` that it answers with, if it answers."""

    fault: Fault
    error: str | None = None


OUTAGES = {
    "404": Outage(Fault("not_found"), "not-there-yet"),
    "410": Outage(Fault("gone", window=FOR_EVER), "gone"),
    "429": Outage(Fault("throttled"), "throttled"),
    "429-retry-after-1": Outage(Fault("throttled", retry_after=1), "throttled"),
    "500": Outage(Fault("server_error"), "server-error"),
    "503": Outage(Fault("server_error", status=503), "unavailable"),
    "refused": Outage(Fault("refused", required=False)),  # nobody sees how often another process tries
    "reset": Outage(Fault("reset")),
    "empty": Outage(Fault("empty_response")),
    "html": Outage(Fault("wrong_content")),
}


def begin(faults: Faults, outage: str) -> None:
    """Let an outage begin."""
    OUTAGES[outage].fault.plan(faults)


def asked_at(faults: Faults, since: int = 0) -> list[float]:
    """When requests were broken, ``since`` so many, in seconds after the first of them."""
    moments = [fired.at_s for fired in faults.fired[since:]]
    return [moment - moments[0] for moment in moments]


def about(seconds: Any) -> Any:
    """A time, or several, as exact as can be expected."""
    return pytest.approx(seconds, rel=RELATIVE, abs=ABSOLUTE_S)


def whole_second(clock: Clock) -> None:
    """Move the time on to the beginning of a second: MSAL counts whole ones, so it would keep an error for less."""
    clock.advance(1 - clock.time() % 1)


def node_with(library: str, folder: Path) -> str:
    """Node, if it finds the library from the folder; otherwise the test is skipped."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    look = [found, "-e", f"require.resolve('{library}')"]
    if subprocess.run(look, cwd=folder, capture_output=True, timeout=TIMEOUT_S).returncode:
        pytest.skip(f"node finds no {library}; NODE_PATH says where it is")
    return found
