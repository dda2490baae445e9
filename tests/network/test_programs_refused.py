"""Where the system allows no network of its own, an error says which step it refused and what to enable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_imds import ImdsNamespaceError, ImdsServer
from pytest_imds.network import child
from pytest_imds.network.obstacles import SECCOMP, SWITCHES
from tests.plugin.conftest import Run

# Becomes what may create no more user namespaces, in a user namespace where it may say so.
NO_MORE = (
    "from pytest_imds.network import inside\n"
    "inside.unshare(inside.CLONE_NEWUSER)\n"
    "inside.write('/proc/self/setgroups', 'deny')\n"
    "import os\n"
    "inside.write('/proc/sys/user/max_user_namespaces', '0')\n"
)
# Becomes what a container is whose profile forbids a system call, as Docker's does unshare(). (BPF: load the number of
# the call; if it is that one, EPERM; else allow.)
FORBIDS = (
    "import ctypes, struct, platform\n"
    "number = {'x86_64': {'unshare': 272, 'mount': 165}, 'aarch64': {'unshare': 97, 'mount': 40}}[platform.machine()]\n"
    "program = b''.join(struct.pack('HBBI', *one) for one in (\n"
    "    (0x20, 0, 0, 0), (0x15, 0, 1, number[call]), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)))\n"
    "instructions = ctypes.create_string_buffer(program, len(program))\n"
    "filter = ctypes.create_string_buffer(struct.pack('HP', 4, ctypes.addressof(instructions)))\n"
    "libc = ctypes.CDLL(None, use_errno=True)\n"
    "assert libc.prctl(38, 1, 0, 0, 0) == 0\n"
    "assert libc.prctl(22, 2, filter, 0, 0) == 0\n"
)
TRIES = (
    "from pytest_imds import ImdsNamespaceError, ImdsServer\n"
    "with ImdsServer(aia='microsoft') as server:\n"
    "    try:\n"
    "        server.run(['true'])\n"
    "    except ImdsNamespaceError as error:\n"
    "        print(error)\n"
    "    else:\n"
    "        print('allowed')\n"
    "    assert len(server.listeners()) == 1\n"
)


def says(*programs: str) -> str:
    """What a process says that has become what ``programs`` make of it."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", "\n".join(programs)], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.imds_namespace
def test_a_system_that_allows_no_more_namespaces_is_told_which_number_to_raise() -> None:
    said = says(NO_MORE, TRIES)
    assert said.startswith("a network of its own for a program cannot be made here: unshare: No space left on device.")
    assert [what for _, _, what in SWITCHES if what in said] == [SWITCHES[2][2]]


@pytest.mark.imds_namespace
@pytest.mark.parametrize(("call", "step"), [("unshare", "unshare"), ("mount", "mounting /")])
def test_a_container_is_told_about_its_profile(call: str, step: str) -> None:
    said = says(f"call = {call!r}", FORBIDS, TRIES)
    assert said.startswith(f"a network of its own for a program cannot be made here: {step}: Operation not permitted.")
    assert said.endswith(f"    {SECCOMP}\n")


def test_another_system_is_told_that_it_takes_linux(monkeypatch: pytest.MonkeyPatch, imds_server: ImdsServer) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ImdsNamespaceError, match="takes Linux, and this is darwin"):
        imds_server.run(["true"])


def test_an_interpreter_that_ends_at_once_is_no_silence(
    monkeypatch: pytest.MonkeyPatch, imds_server: ImdsServer
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(ImdsNamespaceError, match="starting the interpreter: it has ended"):
        imds_server.run(["true"])


def test_an_interpreter_that_says_nothing_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, imds_server: ImdsServer, tmp_path: Path
) -> None:
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nexec sleep 1000\n")
    silent.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(silent))
    monkeypatch.setattr(child, "READY_S", 0.1)
    with pytest.raises(ImdsNamespaceError, match=r"was not made within 0.1 seconds"):
        imds_server.run(["true"])


@pytest.mark.parametrize("allowed", [True, False])
def test_the_marker_skips_where_it_is_not_allowed(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    monkeypatch.setattr(child, "obstacle", lambda: "" if allowed else "cannot be made here: because")
    pytester.makepyfile(
        """
        import pytest

        order = []

        @pytest.fixture(autouse=True)
        def mine():
            order.append("mine")

        @pytest.mark.imds_namespace()
        def test_it(imds_server):
            pass

        def test_order():
            assert order
        """
    )
    result = run("-rs")
    result.assert_outcomes(**({"passed": 2} if allowed else {"passed": 1, "skipped": 1}))
    assert ("cannot be made here: because" in result.stdout.str()) is not allowed


def test_the_marker_takes_no_argument(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(test_it="import pytest\n@pytest.mark.imds_namespace('linux')\ndef test_it(): pass")
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_it.py:2: the marker imds_namespace cannot be ('linux',)."])


@pytest.mark.imds_namespace
def test_this_system_has_no_obstacle() -> None:
    assert child.obstacle.__wrapped__() == ""
