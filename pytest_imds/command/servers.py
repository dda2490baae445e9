"""The server that the command line asks for."""

from __future__ import annotations

import inspect
from argparse import Namespace
from collections.abc import Callable
from typing import Any, TypeVar

from pytest_imds.command import values
from pytest_imds.server import ImdsServer

Server = TypeVar("Server", bound=ImdsServer)
# What has an option of its own, and what no text can say.
NOT_TO_SET = {"profile", "seed", "port", "fleet", "clock", "shared"}


def made(kind: Callable[..., Server], asked: Namespace) -> Server:
    """Return the server, with its faults planned; it is not started.

    Args:
        kind: makes it, from what ``ImdsServer`` takes.
        asked: what the command line says.

    Raises:
        ImdsUsageError: there is no such server, or no such fault.
    """
    options = {"profile": asked.profile, "seed": asked.seed, "port": asked.port}
    if asked.rate_limit:
        options["rate_limit"] = True
    server = kind(**{**options, **values.settings(asked.set, _takes())})
    for written in asked.fault:
        values.fault(written).plan(server.faults)
    return server


def _takes() -> dict[str, values.Types]:
    """Return what ``--set`` can set of a server, its VM included, and the types that each takes."""
    own: dict[str, Any] = {
        name: parameter.default
        for name, parameter in inspect.signature(ImdsServer).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD and name not in NOT_TO_SET
    }
    return {**{name: (type(default),) for name, default in own.items()}, **values.knobs()}
