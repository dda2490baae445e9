"""``run``: the command has 169.254.169.254, and all else is as if it had been started by itself.

The address is asked in the network of the command alone, never in that of this machine.
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios

import pytest

from pytest_imds import ImdsServer
from tests.command.processes import LIMIT_S, ends, line, started

pytestmark = pytest.mark.imds_namespace()

ASKS = """
import signal, sys, urllib.request
url = "http://169.254.169.254/metadata/instance/compute/name?api-version=2021-02-01&format=text"
request = urllib.request.Request(url, headers={"Metadata": "true"})
print(sys.stdin.read(), urllib.request.urlopen(request, timeout=10).read().decode())
print(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
sys.exit(3)
"""
# Ends with the number of interruptions that come while it waits for a second one.
COUNTS = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
print("ready", flush=True)
count = 0
while signal.sigtimedwait({signal.SIGINT}, 20 if count == 0 else 0.3):
    count += 1
sys.exit(count)
"""


def test_a_command_finds_the_vm_at_the_address_of_imds_and_has_our_streams_and_its_own_status() -> None:
    name = ImdsServer("windows", seed=7).vm.name
    options = ["--profile", "windows", "--seed", "7", "--fault", "gone:path=/metadata/versions"]
    with started("run", *options, "--", sys.executable, "-c", ASKS, stdin=subprocess.PIPE) as process:
        out, err = process.communicate("given", timeout=LIMIT_S)

    assert (process.returncode, out) == (3, f"given {name}\nset()\n")
    assert "the fault gone(window=70, path='/metadata/versions') never fired" in err


def test_a_fault_that_never_fired_fails_a_command_that_succeeds() -> None:
    with started("run", "--fault", "gone:window=5", "--", "true") as process:
        status, out, err = ends(process)

    assert (status, out) == (1, "")
    assert err.startswith("pytest-imds: 1 problem inside the IMDS server during this test:\n")
    assert "the fault gone(window=5) never fired" in err


def test_sigint_and_sigterm_are_passed_on_and_the_signal_that_ends_the_command_is_its_status() -> None:
    script = "trap 'echo interrupted' INT; echo ready; while :; do sleep 0.05; done"
    with started("run", "--", "sh", "-c", script) as process:
        assert line(process) == "ready\n"
        process.send_signal(signal.SIGINT)
        assert line(process) == "interrupted\n"
        process.send_signal(signal.SIGTERM)

        assert ends(process) == (128 + signal.SIGTERM, "", "")


def test_what_the_terminal_sends_to_both_reaches_the_command_once() -> None:
    shown, given = pty.openpty()

    def takes_the_terminal() -> None:
        fcntl.ioctl(given, termios.TIOCSCTTY, 0)

    with (
        os.fdopen(shown, "rb") as screen,
        started(
            *("run", "--", sys.executable, "-c", COUNTS),
            stdin=given,
            stdout=given,
            stderr=given,
            start_new_session=True,
            preexec_fn=takes_the_terminal,
        ) as process,
    ):
        os.close(given)
        assert screen.readline() == b"ready\r\n"
        os.write(screen.fileno(), b"\x03")

        assert process.wait(LIMIT_S) == 1
