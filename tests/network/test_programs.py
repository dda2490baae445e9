"""Programs in networks of their own: the server answers there, and all else is as subprocess has it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServerError

from pytest_imds import ImdsServer, ServerFactory, Vm
from tests.network.programs import ASK, CURL, NAME, PYTHON

pytestmark = pytest.mark.imds_namespace()

HERE = Path(__file__).resolve().parent


def told(server: ImdsServer, *command: str, **options: Any) -> str:
    """What a program says that ends well."""
    return str(server.run(command, capture_output=True, text=True, check=True, **options).stdout)


@pytest.mark.parametrize("host", ["169.254.169.254", "168.63.129.16", "2852039166"])
def test_the_server_answers_at_the_addresses_of_azure(imds_server: ImdsServer, imds_vm: Vm, host: str) -> None:
    assert told(imds_server, *CURL, NAME.replace("169.254.169.254", host)) == imds_vm.name


def test_the_server_is_at_its_own_url_too(imds_server: ImdsServer, imds_vm: Vm) -> None:
    url = NAME.replace("http://169.254.169.254", imds_server.url)
    assert told(imds_server, *CURL, url) == imds_vm.name
    assert told(imds_server, *CURL, url.replace("127.0.0.1", "localhost")) == imds_vm.name


def test_its_requests_are_among_those_of_the_server(imds_server: ImdsServer) -> None:
    imds_server.run(ASK, capture_output=True)
    assert [request.host for request, _ in imds_server.log] == ["169.254.169.254"]


def test_a_handler_of_the_test_answers_first(imds_server: ImdsServer) -> None:
    imds_server.expect_request("/metadata/instance/compute/name").respond_with_data("mine")
    assert told(imds_server, *ASK) == "mine"


def test_there_is_nothing_else_in_its_network(imds_server: ImdsServer) -> None:
    links = told(imds_server, "cat", "/proc/net/dev")
    assert [line.split(":")[0].strip() for line in links.splitlines()[2:]] == ["lo"]
    with pytest.raises(subprocess.CalledProcessError):  # and no way out
        told(imds_server, *CURL, "http://192.0.2.1/")


def test_each_program_has_the_vm_of_its_server(imds_server: ImdsServer, make_imds_server: ServerFactory) -> None:
    servers = [imds_server, *make_imds_server("scale-set", count=2)]
    running = [server.popen(ASK, stdout=subprocess.PIPE, text=True) for server in servers]
    said = [process.communicate(timeout=10)[0] for process in running]
    assert said == [server.vm.name for server in servers]
    assert len(set(said)) == 3


def test_several_of_one_server_have_networks_of_their_own(imds_server: ImdsServer, imds_vm: Vm) -> None:
    listen = "import socket; socket.create_server(('127.0.0.1', 8080)); print('mine', flush=True); input()"
    running = [
        imds_server.popen([*PYTHON, listen], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [process.stdout and process.stdout.readline() for process in running] == ["mine\n", "mine\n"]
    assert told(imds_server, *ASK) == imds_vm.name
    for process in running:
        process.communicate("\n", timeout=10)


def test_what_it_reads_and_writes_is_that_of_subprocess(imds_server: ImdsServer) -> None:
    done = imds_server.run(["sh", "-c", "cat; echo wrong >&2; exit 3"], input="given", capture_output=True, text=True)
    assert (done.args, done.returncode) == (["sh", "-c", "cat; echo wrong >&2; exit 3"], 3)
    assert (done.stdout, done.stderr) == ("given", "wrong\n")


def test_bytes_are_bytes_unless_text_is_asked_for(imds_server: ImdsServer) -> None:
    done = imds_server.run(["cat"], input=b"\xff", stdout=subprocess.PIPE)
    assert (done.stdout, done.stderr) == (b"\xff", None)


def test_a_program_that_a_signal_ends_has_its_number(imds_server: ImdsServer) -> None:
    assert imds_server.run(["sh", "-c", "kill -TERM $$"]).returncode == -15


def test_a_signal_reaches_the_program_itself(imds_server: ImdsServer) -> None:
    waiting = imds_server.popen(["sh", "-c", "trap 'exit 7' TERM; echo; read -r _"], stdin=-1, stdout=-1)
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == b"\n"
    waiting.terminate()
    with waiting:
        assert waiting.wait(10) == 7


def test_check_raises_what_subprocess_raises(imds_server: ImdsServer) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        imds_server.run(["sh", "-c", "echo said; exit 4"], check=True, stdout=subprocess.PIPE)
    assert (failed.value.cmd, failed.value.returncode) == (["sh", "-c", "echo said; exit 4"], 4)
    assert failed.value.output == b"said\n"


def test_a_program_that_takes_too_long_is_killed(imds_server: ImdsServer) -> None:
    with pytest.raises(subprocess.TimeoutExpired) as late:
        imds_server.run(["sleep", "1000"], timeout=0.05)
    assert late.value.cmd == ["sleep", "1000"]
    assert late.value.timeout == pytest.approx(0.05, abs=0.01)


def test_a_program_may_not_take_longer_than_a_minute_unless_the_test_says_so(imds_server: ImdsServer) -> None:
    import inspect

    assert inspect.signature(imds_server.run).parameters["timeout"].default == 60.0


def test_a_command_for_the_shell_is_one(imds_server: ImdsServer, imds_vm: Vm) -> None:
    asked = imds_server.run(f"curl -s -H Metadata:true '{NAME}' | cat", shell=True, capture_output=True, text=True)
    assert asked.stdout == imds_vm.name
    assert asked.args == f"curl -s -H Metadata:true '{NAME}' | cat"


def test_a_program_may_be_a_path_and_have_another_name(imds_server: ImdsServer, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho here\n")
    script.chmod(0o755)
    assert imds_server.run(script, stdout=subprocess.PIPE).stdout == b"here\n"
    named = imds_server.run(["name", "-c", "echo $0"], executable="/bin/sh", stdout=subprocess.PIPE)
    assert named.stdout == b"name\n"


def test_a_relative_path_is_one_from_the_folder_that_is_given(imds_server: ImdsServer, tmp_path: Path) -> None:
    (tmp_path / "here").symlink_to("/bin/pwd")
    assert told(imds_server, "./here", cwd=tmp_path) == f"{tmp_path}\n"


@pytest.mark.parametrize("shell", [False, True])
def test_what_is_not_there_is_said_as_subprocess_says_it(imds_server: ImdsServer, shell: bool) -> None:
    options: dict[str, Any] = {"shell": shell, "executable": "/nowhere/sh"} if shell else {}
    with pytest.raises(FileNotFoundError) as theirs:
        subprocess.run(["/nowhere/program"], check=False, **options)
    with pytest.raises(FileNotFoundError) as ours:
        imds_server.run(["/nowhere/program"], **options)
    assert (ours.value.args, ours.value.filename) == (theirs.value.args, theirs.value.filename)


def test_what_is_no_program_is_said_as_subprocess_says_it(imds_server: ImdsServer, tmp_path: Path) -> None:
    with pytest.raises(PermissionError) as ours:
        imds_server.run([tmp_path])
    assert ours.value.filename == tmp_path


def test_a_folder_that_is_not_there_is_said_as_subprocess_says_it(imds_server: ImdsServer) -> None:
    with pytest.raises(FileNotFoundError, match="/nowhere"):
        imds_server.run(["true"], cwd="/nowhere")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"input": b"", "stdin": subprocess.PIPE}, "stdin cannot be given together with input"),
        ({"capture_output": True, "stdout": subprocess.PIPE}, "stdout cannot be given together with capture_output"),
        ({"capture_output": True, "stderr": subprocess.PIPE}, "stderr cannot be given together with capture_output"),
    ],
)
def test_what_contradicts_itself_is_refused(imds_server: ImdsServer, options: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        imds_server.run(["true"], **options)


def test_it_has_the_environment_of_this_process(imds_server: ImdsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "MSI_ENDPOINT"):
        monkeypatch.setenv(name, "http://elsewhere")
    monkeypatch.setenv("OWN", "ä=b\n")
    said = told(imds_server, "env", "-0").split("\0")[:-1]
    expected = {**os.environ, "NO_PROXY": "x", "no_proxy": "x"}
    del expected["AZURE_POD_IDENTITY_AUTHORITY_HOST"], expected["MSI_ENDPOINT"]
    given = dict(line.partition("=")[::2] for line in said)
    assert given.keys() == expected.keys()
    assert given["OWN"] == "ä=b\n"
    assert "169.254.169.254" in given["NO_PROXY"]


def test_it_has_the_environment_that_is_given_and_no_more(imds_server: ImdsServer) -> None:
    environ = {**imds_server.env({"OWN": "1"}), "LC_ALL": "C"}  # the interpreter adds to that in such a locale
    said = told(imds_server, "/usr/bin/env", env=environ).splitlines()
    assert {line.partition("=")[0] for line in said} == {"OWN", "LC_ALL", "NO_PROXY", "no_proxy"}


def test_it_has_the_user_and_the_folder_of_this_process(imds_server: ImdsServer) -> None:
    assert told(imds_server, "sh", "-c", "id -u; id -g; pwd") == f"{os.getuid()}\n{os.getgid()}\n{Path.cwd()}\n"


def test_it_is_left_no_descriptor_but_those_it_is_to_have(imds_server: ImdsServer) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "w"):
        said = told(imds_server, "sh", "-c", "ls /proc/$$/fd", pass_fds=(reading,))
    assert said.split() == sorted({"0", "1", "2", str(reading)})


def test_signals_that_the_interpreter_ignores_are_not_ignored_in_the_program(imds_server: ImdsServer) -> None:
    plain = subprocess.run(["cat", "/proc/self/status"], stdout=subprocess.PIPE, text=True, check=True)
    # Whoever started the tests may ignore others: workers of xdist do, with Python 3.13.
    ignored = [ignored_signals(status) for status in (told(imds_server, "cat", "/proc/self/status"), plain.stdout)]
    assert ignored[0] == ignored[1]
    assert ignored_signals(Path("/proc/self/status").read_text()) >= {signal.SIGPIPE, signal.SIGXFSZ}
    assert not ignored[0] & {signal.SIGPIPE, signal.SIGXFSZ}


def ignored_signals(status: str) -> set[int]:
    mask = int(status.partition("SigIgn:\t")[2].partition("\n")[0], 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def test_names_of_microsoft_lead_to_the_server_where_documents_name_them(imds_server: ImdsServer) -> None:
    before = Path("/etc/hosts").read_bytes()
    with ImdsServer(aia="microsoft") as server:
        url = server.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://www.microsoft.com/pkiops/x"])
        assert url.returncode == 0
        assert [request.host for request, _ in server.log] == ["www.microsoft.com"]
        assert told(server, "cat", "/etc/hosts").startswith(before.decode())
    assert told(imds_server, "cat", "/etc/hosts") == Path("/etc/hosts").read_text()
    assert Path("/etc/hosts").read_bytes() == before


def test_a_server_that_does_not_run_starts_no_program() -> None:
    with pytest.raises(HTTPServerError, match="not running"):
        ImdsServer().run(["true"])


def test_output_may_go_to_a_file(imds_server: ImdsServer, imds_vm: Vm, tmp_path: Path) -> None:
    with (tmp_path / "said").open("wb") as file:
        imds_server.run(ASK, stdout=file)
    assert (tmp_path / "said").read_text() == imds_vm.name


def test_a_file_that_is_none_is_refused_and_nothing_is_left(imds_server: ImdsServer) -> None:
    with pytest.raises(io.UnsupportedOperation):
        imds_server.run(["true"], stdout=io.BytesIO())
