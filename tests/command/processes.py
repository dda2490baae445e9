"""The command line in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any, TypeAlias
from urllib.request import ProxyHandler, Request, build_opener

PROGRAM = (sys.executable, "-m", "pytest_imds")
# A process that takes longer hangs, and is killed.
LIMIT_S = 30.0
INSTANCE = "/metadata/instance?api-version=2021-02-01"
Process: TypeAlias = "subprocess.Popen[str]"


@contextmanager
def started(*arguments: str, **options: Any) -> Iterator[Process]:
    """Start ``python -m pytest_imds``; it does not outlive the block, and hangs no longer than the time limit."""
    # That lines are written at once is the program's own doing.
    environ = {**os.environ, "PYTHONUNBUFFERED": "", **options.pop("env", {})}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    with subprocess.Popen([*PROGRAM, *arguments], text=True, env=environ, **pipes) as process:
        limit = Timer(LIMIT_S, process.kill)
        limit.start()
        try:
            yield process
        finally:
            limit.cancel()
            process.kill()


def ends(process: Process) -> tuple[int, str | None, str]:
    """Return the exit status of a process that is about to end, and what is left of its output and its errors."""
    out, err = process.communicate(timeout=LIMIT_S)
    return process.returncode, out, err


def line(process: Process) -> str:
    """Return the next line of the output."""
    assert process.stdout is not None
    return process.stdout.readline()


def ask(url: str) -> tuple[int, bytes]:
    """Ask what is there; a status that is no success is an HTTPError."""
    client = build_opener(ProxyHandler({}))
    with client.open(Request(url, headers={"Metadata": "true"}), timeout=LIMIT_S) as reply:
        return reply.status, reply.read()
