"""Who does what the command line asks for, and how that ends."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pkgutil import resolve_name

from pytest_imds.command.output import Output, complain, on_one_line
from pytest_imds.command.parser import LISTINGS, parse
from pytest_imds.errors import ImdsError, ImdsUsageError

FAILED, MISUSED = 1, 2
# Found when it is used: each imports what the others have no use for.
SUBCOMMANDS = {
    "serve": "serve:serve",
    "run": "run:run",
    "vm": "vm:show",
    **dict.fromkeys(LISTINGS, "listings:show"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for.

    Args:
        arguments: the command line without the name of the program; None is that of this process.

    Returns:
        The exit status: 0, 1 if it has failed, 2 if there is no such thing; of ``run`` it is the command's.
    """
    try:
        asked = parse(arguments)
        act = resolve_name(f"{__package__}.{SUBCOMMANDS[asked.subcommand]}")
        status: int = act(asked, Output())
    except ImdsUsageError as error:
        complain(on_one_line(str(error)))
        return MISUSED
    except ImdsError as error:
        complain(on_one_line(str(error)))
        return FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return status
