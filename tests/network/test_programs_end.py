"""Nothing that was started runs on when the test has ended, and nothing of its network is left."""

from __future__ import annotations

import os
import subprocess
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from select import select
from time import monotonic

import pytest

from pytest_imds import ImdsServer
from tests.network.programs import ASK, PYTHON
from tests.plugin.conftest import Run

pytestmark = pytest.mark.imds_namespace()

# Starts a process that leaves its session and its parent, as daemons do, and says which it is.
DAEMON = "(setsid sh -c 'echo $$; exec >/dev/null; exec sleep 1000' &)"
# A thread that serves nobody any more may have its last instructions before it.
ENDING_S = 2.0


def open_descriptors() -> set[str]:
    return {descriptor.name for descriptor in Path("/proc/self/fd").iterdir() if descriptor.exists()}


def is_there(process_id: int) -> bool:
    status = Path("/proc", str(process_id), "stat")
    return status.exists() and status.read_text().rpartition(") ")[2][0] != "Z"


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    descriptors, threads = open_descriptors(), threading.active_count()
    yield
    # What others have left may go away meanwhile.
    assert open_descriptors() - descriptors == set()
    enough = monotonic() + ENDING_S
    while threading.active_count() > threads:
        assert monotonic() < enough, threading.enumerate()


def test_a_program_that_runs_is_killed_with_the_server() -> None:
    with ImdsServer() as server:
        program = server.popen(["sleep", "1000"])
        assert program.poll() is None
    assert program.returncode == -9


def test_a_program_that_has_ended_keeps_its_status() -> None:
    with ImdsServer() as server:
        program = server.popen(["sh", "-c", "exit 3"])
        program.wait(10)
    assert program.returncode == 3


@pytest.mark.parametrize("waited_for", [True, False])
def test_what_a_program_has_started_is_killed_too(waited_for: bool) -> None:
    with ImdsServer() as server:
        program = server.popen(["sh", "-c", f"{DAEMON}; read -r _"], stdin=-1, stdout=-1, text=True)
        assert program.stdin is not None
        assert program.stdout is not None
        daemon = int(program.stdout.readline())
        if waited_for:
            program.stdin.close()
            program.wait(10)
        assert is_there(daemon)
    assert not is_there(daemon)


def test_what_outlives_its_program_has_its_server_until_the_end() -> None:
    (told, tells), (hears, says) = os.pipe(), os.pipe()
    script = f'(read -r _ </dev/fd/{told}; exec "$@" >/dev/fd/{says}) &'
    with os.fdopen(told), os.fdopen(tells, "w") as to_daemon, os.fdopen(hears) as from_daemon, ImdsServer() as server:
        with os.fdopen(says, "w"):
            assert server.run(["sh", "-c", script, "sh", *ASK], pass_fds=(told, says)).returncode == 0
        server.run(["true"])  # networks where nobody is any more are left here
        print(file=to_daemon, flush=True)
        assert select([from_daemon], [], [], 10)[0]
        assert from_daemon.read() == server.vm.name


def test_networks_of_programs_that_have_ended_are_left_when_the_next_begins() -> None:
    with ImdsServer() as server:
        server.run(["true"])
        many = len(server.listeners())
        for _ in range(3):
            server.run(["true"])
        assert len(server.listeners()) == many


def test_a_program_that_does_not_begin_leaves_nothing() -> None:
    with ImdsServer() as server:
        for wrong in (["/nowhere/program"], [os.curdir]):
            with pytest.raises(OSError):  # noqa: PT011 - which one is not what this is about
                server.popen(wrong, stdin=-1, stdout=-1, stderr=-1)
        assert len(server.listeners()) == 1


def test_a_request_that_a_program_leaves_unanswered_is_no_problem_of_the_server() -> None:
    with ImdsServer() as server:
        server.faults.blackhole()
        with pytest.raises(subprocess.TimeoutExpired):
            server.run(ASK, timeout=0.3)


def test_pipes_that_the_test_leaves_open_are_closed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ImdsServer() as server:
            program = server.popen(["cat"], stdin=-1, stdout=-1, stderr=-1)
            assert program.stdin is not None
            program.stdin.write(b"never read")  # nobody flushes it before the program is killed
        assert [stream and stream.closed for stream in (program.stdin, program.stdout, program.stderr)] == [True] * 3


def test_many_at_once_each_get_their_answer() -> None:
    with ImdsServer() as server:
        running = [server.popen(ASK, stdout=subprocess.PIPE, text=True) for _ in range(8)]
        assert [program.communicate(timeout=20)[0] for program in running] == [server.vm.name] * 8


def test_threads_may_start_programs_at_once() -> None:
    said: list[str] = []
    with ImdsServer() as server:

        def ask() -> None:
            said.append(server.run(ASK, capture_output=True, text=True).stdout)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert said == [server.vm.name] * 4


def test_the_end_of_a_test_ends_its_programs(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        f"""
        import subprocess

        programs = []

        def test_starts(imds_server):
            programs.append(imds_server.popen({[*PYTHON, "input()"]!r}, stdin=subprocess.PIPE))
            assert programs[0].poll() is None

        def test_has_none():
            assert programs[0].returncode == -9
        """
    )
    run().assert_outcomes(passed=2)
