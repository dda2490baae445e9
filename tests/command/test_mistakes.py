"""A command line that cannot be carried out is one clear line, and an exit status."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_imds.command import servers
from pytest_imds.command.main import main

MISTAKES = {
    "": "the following arguments are required: SUBCOMMAND",
    "serv": "argument SUBCOMMAND: invalid choice: 'serv'",
    "profiles --jsn": "unrecognized arguments: --jsn",
    "profiles --js": "unrecognized arguments: --js",
    "serve -- ls": "unrecognized arguments:",
    "serve --profile linus": "unknown VM profile 'linus'. did you mean 'linux'? known: classic, ",
    "serve --port 65536": "argument --port: '65536' is no port: a whole number from 0 to 65535",
    "serve --port ²": "argument --port: '²' is no port",
    "serve --fault gon": "unknown fault 'gon'. did you mean 'gone'? known: blackhole, ",
    "serve --fault gone:windo=3": "unknown parameter of the fault gone 'windo'. did you mean 'window'? known: after, ",
    "serve --fault gone:window=long": "window cannot be 'long'. right: seconds, 0 or more",
    "serve --fault latency": "what the fault latency takes cannot be (). right: latency(seconds, jitter=0, *, path, ",
    "serve --fault sequence": "sequence() cannot be (). right: one fault at least",
    "serve --fault gone:": "--fault cannot be 'gone:'. right: NAME or NAME:PARAMETER=VALUE,PARAMETER=VALUE",
    "serve --fault gone:name=x": "--fault cannot be 'gone:name=x'. right: NAME or ",
    "serve --fault gone:self=x": "--fault cannot be 'gone:self=x'. right: NAME or ",
    "serve --set nics": "--set cannot be 'nics'. right: NAME=VALUE",
    "serve --set locaton=x": "unknown name for --set 'locaton'. did you mean 'location'? known: admin_username, aia, ",
    "serve --set port=80": "unknown name for --set 'port'.",
    "serve --set clock=1": "unknown name for --set 'clock'.",
    "serve --set nics=0": "the knob nics cannot be 0. right: at least 1",
    "serve --set tags=env": "the knob tags cannot be 'env'. right: the tags, a mapping of str to str",
    "serve --set chain=2025": "unknown chain '2025'.",
    "serve --set rate_limit=1": "rate_limit cannot be '1'. right: True or False",
    "vm --set chain=2026": "unknown name for --set 'chain'.",
    "vm --set data_disks=65": "no size ",
    "run": "run needs a command behind --: pytest-imds run [OPTION ...] -- COMMAND ARG ...",
    "run --": "run needs a command behind --",
    "run ls -l": "run needs a command behind --",
    "run ls -- ls": "unrecognized arguments before --: ls",
    "run --seed -- ls": "argument --seed: expected one argument",
    "run --json -- ls": "unrecognized arguments before --: --json",
}


@pytest.fixture
def signals_as_before() -> Iterator[None]:
    """``run`` lets signals wait to the end of its process, and here that is not its own."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.parametrize(("line", "told"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_told_on_one_line(line: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"pytest-imds: {told}")


def test_an_argument_of_two_lines_is_told_on_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "a\nb"]) == 2
    assert capsys.readouterr().err.startswith("pytest-imds: unrecognized arguments: a b")


@pytest.mark.usefixtures("signals_as_before")
@pytest.mark.parametrize("behind", [["serve"], ["run", "--", "true"]], ids=["serve", "run"])
def test_a_port_that_is_taken_is_told_on_one_line(behind: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main([behind[0], "--port", str(port), *behind[1:]]) == 1

    told = f"pytest-imds: cannot listen on 127.0.0.1:{port}. leave port out (or 0) to get a free one\n"
    assert capsys.readouterr() == ("", told)


@pytest.mark.imds_namespace
@pytest.mark.usefixtures("signals_as_before")
def test_a_command_that_is_not_found_is_127(capsys: pytest.CaptureFixture[str]) -> None:
    """That the fault has never fired is not told: nothing was tried."""
    assert main(["run", "--fault", "gone", "--", "there-is-no-such-command"]) == 127
    assert capsys.readouterr() == ("", "pytest-imds: there-is-no-such-command: No such file or directory\n")


@pytest.mark.imds_namespace
@pytest.mark.usefixtures("signals_as_before")
def test_a_command_that_is_not_executable_is_126(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = tmp_path / "plain"
    plain.touch(mode=0o644)

    assert main(["run", "--", os.fspath(plain)]) == 126
    assert capsys.readouterr() == ("", f"pytest-imds: {plain}: Permission denied\n")


def test_a_system_without_networks_for_programs_is_told_on_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    assert main(["run", "--", "true"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("pytest-imds: a network of its own for a program takes Linux, and this is darwin. ")


def test_an_interruption_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(servers, "made", interrupted)

    assert main(["serve"]) == 130
    assert capsys.readouterr() == ("", "")
