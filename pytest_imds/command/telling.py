"""A server that tells of each request, before the reply leaves, and of what goes wrong inside it."""

from __future__ import annotations

from collections.abc import Callable
from traceback import format_exception
from typing import Any

from pytest_imds.server import ImdsServer
from pytest_imds.traffic.exchange import Exchange


class TellingServer(ImdsServer):
    """A server that tells what it answers.

    Args:
        tell: is told of each request.
        complain: is told what goes wrong inside the server.
        options: what ``ImdsServer`` takes.
    """

    def __init__(self, tell: Callable[[Exchange], None], complain: Callable[[str], None], **options: Any) -> None:
        super().__init__(**options)
        self.record.tell = tell
        self._complain = complain

    def report(self, problem: BaseException, request: str) -> None:
        """Tell what went wrong, in place of the request that met it."""
        self._complain(f"while it answered {request}:\n{''.join(format_exception(problem))}".rstrip())
