"""Sessions at a shell, as the documents show them: commands behind ``$``, each followed by what appears."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path

LIMIT_S = 30.0
# The port in the documents; a session has a free one.
PORT = "8169"
# To find and import every plugin that is installed takes pytest longer than all the rest.
WITH_US_ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_imds.plugin"}


def run(session: str) -> None:
    """Run a session; what appears has to be what it says, and ``...`` stands for anything.

    Of what pytest shows, ports do not count, and times count roughly.

    What it starts in the background with ``&`` runs until the session ends.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        session = session.replace(PORT, str(free.getsockname()[1]))
    with _terminal() as (theirs, screen):
        running = []
        try:
            for command, expected in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE):
                background = command.endswith(" &")
                running.append(_started(command.removesuffix(" &"), theirs))
                if not background:
                    running[-1].wait(LIMIT_S)
                got = _shown(screen, expected.count("\n") if background else 0)
                if command.startswith("pytest "):
                    expected, got = _steady(expected), _steady(got)
                assert OutputChecker().check_output(expected, got, ELLIPSIS), f"$ {command}\n{got}"
        finally:
            for process in running:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
                process.wait(LIMIT_S)
        assert not select.select([screen], [], [], 0)[0], "more appears than the document shows"


def _steady(shown: str) -> str:
    def roughly(seconds: re.Match[str]) -> str:
        return f"about {round(float(seconds[0]) / 5) * 5}"

    for moving, steady in ((r"\d+\.\d{3}\b", roughly), (r"(?<=127\.0\.0\.1:)\d+", "#"), (r"(?<= in )[\d.]+s\b", "#s")):
        shown = re.sub(moving, steady, shown)
    return re.sub(" +$", "", shown, flags=re.MULTILINE)


@contextmanager
def _terminal() -> Iterator[tuple[int, int]]:
    """Give what commands write to, and what that can be read from."""
    screen, theirs = os.pipe()
    try:
        yield theirs, screen
    finally:
        os.close(screen)
        os.close(theirs)


def _started(command: str, theirs: int) -> subprocess.Popen[bytes]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", command],
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, **WITH_US_ALONE, "PATH": path},
        start_new_session=True,
    )


def _shown(screen: int, lines: int) -> str:
    """Return all that has appeared, and wait until it is so many lines; the last may have no end."""
    shown = b""
    while select.select([screen], [], [], LIMIT_S if shown.count(b"\n") < lines else 0)[0]:
        shown += os.read(screen, 65536)
    return shown.decode() if shown.endswith(b"\n") else f"{shown.decode()}\n"
