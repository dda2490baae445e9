"""What the command line writes: whole lines, each of them at once."""

from __future__ import annotations

import json
import os
import select
import sys
from threading import Lock
from typing import Any

COLOURS = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "magenta": "35"}


class Output:
    """The standard output, in colour if it is a terminal, unless the environment has ``NO_COLOR``."""

    def __init__(self) -> None:
        self._coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._turn = Lock()
        self._abandoned = False

    @property
    def has_reader(self) -> bool:
        """Whether there is somebody to read it: what is at the other end of a pipe may have ended."""
        if self._abandoned or not hasattr(select, "poll"):  # which Windows has not
            return not self._abandoned
        pipe = select.poll()
        pipe.register(sys.stdout, 0)  # errors alone
        return not pipe.poll(0)

    def line(self, text: str) -> None:
        """Write a line, if there is somebody to read it."""
        with self._turn:
            try:
                sys.stdout.write(f"{text}\n")
                sys.stdout.flush()
            except BrokenPipeError:
                self._abandoned = True
                # What is left in the buffer is written when the process ends, and would fail aloud.
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, sys.stdout.fileno())
                os.close(nowhere)

    def json(self, value: Any) -> None:
        """Write a value as a line of JSON."""
        self.line(json.dumps(value))

    def painted(self, text: str, colour: str) -> str:
        """Return ``text`` in a colour, where there are colours."""
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self._coloured else text


def complain(message: str) -> None:
    """Write to the standard error."""
    sys.stderr.write(f"pytest-imds: {message}\n")
    sys.stderr.flush()


def on_one_line(message: str) -> str:
    """Return a message of several lines as one."""
    return " ".join(line.strip() for line in message.splitlines())
