"""Outages reach programs in networks of their own as they reach clients of this process."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import IO

import pytest

from pytest_imds import Faults, ImdsServer, Vm
from tests.network.programs import ASK, ASK_AGAIN

pytestmark = pytest.mark.imds_namespace()

# How curl goes on after "time" depends on where its time has run out.
REFUSED, UNANSWERED = "Failed to connect", "Connection time"
IMPATIENT = [word if word != "5" else "0.2" for word in ASK]


def says(server: ImdsServer, command: list[str] | tuple[str, ...]) -> str:
    done = server.run(command, capture_output=True, text=True)
    return str(done.stdout + done.stderr)


@pytest.mark.parametrize(("fault", "met"), [("refused", REFUSED), ("connect_timeout", UNANSWERED)])
def test_a_door_that_is_shut_before_the_program_begins_is_shut(imds_server: ImdsServer, fault: str, met: str) -> None:
    getattr(imds_server.faults, fault)(required=False)
    assert met in says(imds_server, IMPATIENT)
    imds_server.faults.clear()
    assert says(imds_server, ASK) == imds_server.vm.name


class Asking:
    """A program that asks again when it is told to."""

    def __init__(self, server: ImdsServer) -> None:
        self._program = server.popen(
            ["0.2" if word == "5" else word for word in ASK_AGAIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._first = True

    def says(self) -> str:
        reads, writes = self._stream(self._program.stdout), self._stream(self._program.stdin)
        if not self._first:
            print(file=writes, flush=True)
        self._first = False
        lines = iter(reads.readline, "")
        said = next(lines).strip()
        if said.startswith("curl:"):
            next(lines)  # curl ends its line, echo the next
        return said

    @staticmethod
    def _stream(stream: IO[str] | None) -> IO[str]:
        assert stream is not None
        return stream


@pytest.mark.parametrize(
    ("shut", "met"),
    [(Faults.refused, REFUSED), (Faults.connect_timeout, UNANSWERED)],
    ids=["refused", "connect_timeout"],
)
def test_a_door_is_shut_and_opened_while_the_program_runs(
    imds_server: ImdsServer, imds_vm: Vm, imds_faults: Faults, shut: Callable[..., None], met: str
) -> None:
    program = Asking(imds_server)
    for _ in range(2):
        assert program.says() == imds_vm.name
        shut(imds_faults, required=False)
        assert met in program.says()
        imds_faults.clear()
    assert program.says() == imds_vm.name


def test_a_door_goes_straight_from_one_kind_to_the_other(
    imds_server: ImdsServer, imds_vm: Vm, imds_faults: Faults
) -> None:
    program = Asking(imds_server)
    assert program.says() == imds_vm.name
    for _ in range(2):
        imds_faults.refused(required=False)
        assert REFUSED in program.says()
        imds_faults.clear()
        imds_faults.connect_timeout(required=False)
        assert UNANSWERED in program.says()
        imds_faults.clear()
    assert program.says() == imds_vm.name


def test_a_door_opens_when_its_window_is_over(imds_server: ImdsServer, imds_vm: Vm, imds_faults: Faults) -> None:
    imds_faults.refused(window=60, required=False)
    assert REFUSED in says(imds_server, IMPATIENT)
    imds_server.clock.advance(60)
    assert says(imds_server, [*ASK, "--retry", "3", "--retry-connrefused"]).endswith(imds_vm.name)


@pytest.mark.imds_fault("gone", window=70)
def test_a_fault_of_the_service_is_met(imds_server: ImdsServer, imds_vm: Vm) -> None:
    assert "410" in says(imds_server, [*ASK, "--fail"])
    imds_server.clock.advance(70)
    assert says(imds_server, [*ASK, "--fail"]) == imds_vm.name


@pytest.mark.imds_fault("reset", times=1)
@pytest.mark.imds_fault("empty_response", times=1)
def test_a_fault_of_the_connection_is_met(imds_server: ImdsServer, imds_vm: Vm) -> None:
    said = [says(imds_server, ASK) for _ in range(3)]
    assert sorted("reset" in one or "Empty reply" in one for one in said) == [False, True, True]
    assert said[-1] == imds_vm.name


def test_a_reply_that_never_comes_is_released_at_the_end(imds_server: ImdsServer) -> None:
    imds_server.faults.blackhole()
    assert "timed out" in says(imds_server, IMPATIENT)
