"""What the command line writes: whole lines, each of them at once."""

from __future__ import annotations

import json
import os
import sys
from threading import Lock
from typing import Any

COLOURS = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "magenta": "35"}


class Output:
    """The standard output, in colour if it is a terminal, unless the environment has ``NO_COLOR``."""

    def __init__(self) -> None:
        self._coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._turn = Lock()

    def line(self, text: str) -> bool:
        """Write a line; return whether there is somebody to read it."""
        with self._turn:
            try:
                sys.stdout.write(f"{text}\n")
                sys.stdout.flush()
            except BrokenPipeError:
                # What is left in the buffer is written when the process ends, and would fail aloud.
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, sys.stdout.fileno())
                os.close(nowhere)
                return False
        return True

    def json(self, value: Any) -> bool:
        """Write a value as a line of JSON; return whether there is somebody to read it."""
        return self.line(json.dumps(value))

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
