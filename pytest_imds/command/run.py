"""``run``: a command in a network of its own, where 169.254.169.254 is a server."""

from __future__ import annotations

import signal
import sys
from argparse import Namespace
from functools import partial
from subprocess import Popen
from typing import Any

from pytest_imds.command import servers
from pytest_imds.command.output import Output, complain
from pytest_imds.errors import ImdsError, ImdsNamespaceError, ImdsServerError
from pytest_imds.server import ImdsServer

# As a shell has them.
NOT_FOUND, NOT_EXECUTABLE, KILLED = 127, 126, 128


def run(asked: Namespace, output: Output) -> int:
    """Run the command until it ends; what went wrong inside the server is told then.

    Returns:
        The exit status of the command; 1 if that is 0 and something went wrong inside the server.

    Raises:
        ImdsUsageError: there is no such server.
        ImdsPortError: the port is taken.
        ImdsNamespaceError: the system does not allow such a network.
    """
    if not sys.platform.startswith("linux"):  # others lack some functions of signal, too
        raise ImdsNamespaceError.not_linux(sys.platform)
    # Signals wait from here on until they are asked for, in the threads of the server as well, which inherit that. It
    # stays so to the end: what comes after the command has ended changes nothing.
    waited_for = {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    status = 0
    try:
        with servers.made(ImdsServer, asked) as server:
            # The command would inherit it as well.
            unblock = partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, waited_for)
            status = _ended(server.popen(asked.command, preexec_fn=unblock), waited_for)
    except ImdsServerError as problems:
        complain(str(problems))
        return status or 1
    except ImdsError:
        raise
    except OSError as error:
        complain(f"{asked.command[0]}: {error.strerror}")
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
    return status


def _ended(command: Popen[Any], waited_for: set[signal.Signals]) -> int:
    """Wait until the command has ended, pass on what we are sent meanwhile, and return its exit status."""
    while (status := command.poll()) is None:
        received = signal.sigwaitinfo(waited_for)
        # What comes from the kernel comes from the terminal, and the command has got it too.
        if received.si_signo != signal.SIGCHLD and received.si_code <= 0:
            command.send_signal(received.si_signo)
    return KILLED - status if status < 0 else status
