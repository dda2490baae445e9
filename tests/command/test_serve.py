"""``serve``, in processes of its own: what is written when, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO
from urllib.error import HTTPError

import pytest

from pytest_imds import ImdsServer
from pytest_imds.command.output import Output, complain
from pytest_imds.command.serve import _greeting
from pytest_imds.command.telling import TellingServer
from tests.command.processes import INSTANCE, LIMIT_S, PROGRAM, ask, ends, line, started


def test_a_person_gets_the_url_commands_that_work_and_a_line_for_each_request() -> None:
    # A proxy of the person's must not get in the way of what they paste.
    environ = {"http_proxy": "http://127.0.0.1:1"}
    with started("serve", "--seed", "7", "--fault", "gone:times=1", env=environ) as process:
        url = line(process).strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+", url)
        assert line(process).startswith("serves ")
        commands = [line(process) for _ in range(4)]
        for command in commands:
            wanted = command.rpartition(url)[2].strip().strip("'")
            options = ["sh", "-c", f"{command.strip()} -s -w ' %{{http_code}} %{{size_download}}'"]
            asked = subprocess.run(
                options, capture_output=True, text=True, timeout=LIMIT_S, check=True, env={**os.environ, **environ}
            )
            status, size = asked.stdout.rpartition("}")[2].split()[-2:]
            fault = "  gone" if command is commands[0] else ""
            assert line(process) == f"GET {wanted}  {status}  {size} bytes{fault}\n"
            assert status == ("410" if fault else "200")
        process.send_signal(signal.SIGTERM)

        assert ends(process) == (0, "", "")


def test_the_commands_ask_for_nothing_that_an_older_service_does_not_have() -> None:
    with TellingServer(lambda answered: None, complain, newest="2017-12-01") as server:
        commands = [line for line in _greeting(server, Output()) if line.startswith("  curl ")]
        urls = [command.rpartition(" ")[2].strip("'") for command in commands]

        assert [url.partition("?")[0] for url in urls] == [
            f"{server.url}/metadata/instance",
            f"{server.url}/metadata/instance/compute/vmSize",
        ]
        assert [ask(url)[0] for url in urls] == [200, 200]


def test_a_program_gets_lines_of_json_until_it_stops_reading_them() -> None:
    with started("serve", "--json", "--profile", "windows", "--seed", "blue", "--set", "name=vm1") as process:
        server = json.loads(line(process))
        vm = ImdsServer("windows", seed="blue", name="vm1").vm
        url = f"http://127.0.0.1:{server['port']}"
        assert server == {
            "url": url,
            "port": server["port"],
            "profile": "windows",
            "seed": "blue",
            "vm_id": vm.vm_id,
            "name": "vm1",
        }
        _, body = ask(f"{url}{INSTANCE}")
        assert json.loads(line(process)) == {
            "method": "GET",
            "target": INSTANCE,
            "status": 200,
            "bytes": len(body),
            "faults": [],
        }
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()

        assert (process.wait(LIMIT_S), process.stderr.read()) == (0, "")


@pytest.mark.parametrize("arguments", [["serve"], ["--help"]], ids=" ".join)
def test_it_ends_quietly_when_nobody_has_ever_read_it(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with started(*arguments, stdout=writing) as process:
        os.close(writing)
        assert process.stderr is not None

        assert (process.wait(LIMIT_S), process.stderr.read()) == (0, "")


@contextmanager
def terminal() -> Iterator[tuple[int, IO[bytes]]]:
    """Give the side of a terminal that programs have, and the side that shows what they write."""
    shown, given = pty.openpty()
    with os.fdopen(given, "wb") as theirs, os.fdopen(shown, "rb") as screen:
        yield theirs.fileno(), screen


@pytest.mark.parametrize(("no_color", "name"), [("", b"\x1b[1mlinux\x1b[0m"), ("1", b"linux")], ids=["", "NO_COLOR"])
def test_a_terminal_gets_colours_unless_the_environment_has_no_color(no_color: str, name: bytes) -> None:
    environ = {**os.environ, "NO_COLOR": no_color}
    with terminal() as (theirs, screen):
        subprocess.run([*PROGRAM, "profiles"], stdout=theirs, timeout=LIMIT_S, check=True, env=environ)

        assert screen.readline().startswith(name + b"              a Linux VM")


def test_a_terminal_shows_in_colours_what_went_well() -> None:
    with (
        terminal() as (theirs, screen),
        started("serve", "--fault", "not_found:times=1", stdout=theirs, env={"NO_COLOR": ""}) as process,
    ):
        url = re.fullmatch(rb"\x1b\[1m(.+)\x1b\[0m\r\n", screen.readline())
        assert url
        for _ in range(5):
            screen.readline()
        with pytest.raises(HTTPError):
            ask(f"{url[1].decode()}{INSTANCE}")
        ask(f"{url[1].decode()}{INSTANCE}")
        told = [screen.readline().partition(b"  ")[2] for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert ends(process) == (0, None, "")

    assert re.fullmatch(rb"\x1b\[31m404\x1b\[0m  [0-9]+ bytes\x1b\[35m  not_found\x1b\[0m\r\n", told[0])
    assert re.fullmatch(rb"\x1b\[32m200\x1b\[0m  [0-9]+ bytes\r\n", told[1])
