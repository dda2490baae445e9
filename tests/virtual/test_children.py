"""Child processes: they have the machine's time, and are waited for in it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest

from pytest_imds import Clock
from tests.virtual.machine import Stopwatch, somebody_sleeping


def test_a_child_process_that_a_thread_waits_for_takes_real_time(clock: Clock) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(0.1); print(time.time())"]
    with somebody_sleeping(), Stopwatch() as watch:
        told = subprocess.run(command, check=True, capture_output=True, timeout=10).stdout
    assert watch.virtual_s < 2
    assert abs(float(told) - time.time()) < 10


def test_a_child_process_is_waited_for_with_a_real_timeout(clock: Clock) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        with Stopwatch() as watch, pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
        process.kill()
    assert 0.1 <= watch.real_s < 5


def test_a_child_process_that_a_loop_waits_for_takes_real_time(clock: Clock) -> None:
    async def main() -> bytes:
        command = "import time; time.sleep(0.1); print('done')"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", command, stdout=subprocess.PIPE)
        told, _ = await asyncio.wait_for(process.communicate(), 5)
        return told

    with Stopwatch() as watch:
        assert asyncio.run(main()) == b"done\n"
    assert watch.virtual_s < 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork()")
def test_a_forked_child_has_the_machines_time() -> None:
    """In a process of its own: with threads, a fork of this one would be warned of."""
    script = """
import os, sys, time
from pytest_imds.clock import Clock
from pytest_imds.virtual import VirtualTime
class Nobody:
    ports = ()
    def standings(self): return {}
clock = Clock()
with VirtualTime(clock, Nobody()):
    time.sleep(1000)
    child = os.fork()
    if not child:
        before = os.times().elapsed
        time.sleep(0.1)
        clock.sleep(0.1)
        os._exit(0 if 0.2 <= os.times().elapsed - before + 0.02 < 5 and time.time() < clock.time() - 999 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    time.sleep(1000)
print("done")
"""
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=20).stdout
    assert told == b"done\n"
