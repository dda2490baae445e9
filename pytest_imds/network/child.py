"""Programs in a network of their own, where the addresses of Azure's host lead to a server of the test."""

from __future__ import annotations

import _socket
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from struct import calcsize, unpack
from typing import Any

from pytest_imds.errors import ImdsNamespaceError
from pytest_imds.network import addresses
from pytest_imds.network.obstacles import advice

INSIDE = Path(__file__).with_name("inside.py")
HOSTS = Path("/etc/hosts")
SHELL = ("/bin/sh", "-c")
# To make the network takes some hundredths of a second, and to load a program from a slow disk longer.
READY_S = 10.0
# How long a program that was killed may take to be gone.
GONE_S = 5.0
MOST_ROUNDS = 500
MESSAGE_BYTES = 4096
# Any that is not that of IMDS: it is listened on in a network where nobody else is.
PROBED_PORT = 8080


class Child(subprocess.Popen[Any]):
    """A program in a network of its own: :class:`subprocess.Popen`, in two steps.

    Once it is made there is its network; the program waits there for ``begin()``.

    Args:
        args: what :class:`subprocess.Popen` takes.
        port: that of the server at 127.0.0.1; the program finds it there too.
        names: hosts that lead to the server, besides the addresses.
        options: what else :class:`subprocess.Popen` takes.

    Attributes:
        sockets: those that listen: at the addresses of Azure's host, and where the server is in this network.

    Raises:
        ImdsNamespaceError: the system does not allow it.
        OSError: as :class:`subprocess.Popen`.
    """

    def __init__(self, args: Any, port: int, names: Collection[str] = (), **options: Any) -> None:
        if not sys.platform.startswith("linux"):
            raise ImdsNamespaceError.not_linux(sys.platform)
        self._program, arguments = _command(args, options.pop("shell", False), options.pop("executable", None))
        listen = ",".join([*(f"{host}:{addresses.known()['port']}" for host in addresses.hosts()), f"127.0.0.1:{port}"])
        self._inside, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self._inside.settimeout(READY_S)
        self.sockets: list[_socket.socket] = []
        with _hosts(names) as hosts, self._or_nothing():
            with closing(theirs):
                started = [sys.executable, "-I", "-S", str(INSIDE), str(theirs.fileno()), listen, hosts]
                passed = (*options.pop("pass_fds", ()), theirs.fileno())
                super().__init__([*started, self._program, *arguments], pass_fds=passed, **options)
            self.args = args
            self._take_over()

    def begin(self) -> None:
        """Let the program begin.

        Raises:
            ImdsNamespaceError: nothing is heard of it.
            OSError: it cannot be started, as :class:`subprocess.Popen` has it.
        """
        with self._or_nothing():
            self._inside.send(b"!")
            failed = self._inside.recv(MESSAGE_BYTES)
            if failed:
                raise OSError(int(failed), os.strerror(int(failed)), self._program)
            self._inside.close()

    def end(self) -> None:
        """Kill the program, and whatever it has started that is still in its network."""
        self.kill()
        for _ in range(MOST_ROUNDS):  # who is killed may just have started another
            inhabitants = self.inhabitants()
            for process_id in inhabitants:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(process_id, signal.SIGKILL)
            if not inhabitants:
                break
        with suppress(subprocess.TimeoutExpired):  # it hangs in the kernel
            self.wait(GONE_S)
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                with suppress(OSError):  # what was to be written has nobody to read it
                    stream.close()

    def inhabitants(self) -> list[int]:
        """Return the processes that are in the network."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - hundreds of them, at the end of a test
            with suppress(OSError):  # it has ended, or is another user's
                if os.stat(f"/proc/{name}/ns/net").st_ino == self._namespace:  # noqa: PTH116 - as above
                    found.append(int(name))
        return found

    def _take_over(self) -> None:
        message, ancillary, _, _ = self._inside.recvmsg(MESSAGE_BYTES, _socket.CMSG_SPACE(MESSAGE_BYTES))
        if not ancillary:
            number, _, step = message.decode().partition(" ")
            reason = os.strerror(int(number)) if number else "it has ended"
            raise ImdsNamespaceError.refused(step or "starting the interpreter", reason, advice())
        content = ancillary[0][2]
        descriptors = unpack(f"{len(content) // calcsize('i')}i", content)
        self.sockets = [_socket.socket(fileno=one) for one in descriptors]
        self._namespace = int(message)

    def abandon(self) -> None:
        """Leave nothing of a program that does not begin: no socket, no process, no stream."""
        for opened in (*self.sockets, self._inside):
            opened.close()
        if getattr(self, "pid", None) is not None:
            with self:
                self.kill()

    @contextmanager
    def _or_nothing(self) -> Iterator[None]:
        try:
            yield
        except BaseException as problem:
            self.abandon()
            if isinstance(problem, TimeoutError):
                raise ImdsNamespaceError.silent(READY_S) from None
            raise


@cache
def obstacle() -> str:
    """Return why no program can have a network of its own here; empty if it can."""
    try:
        Child([sys.executable], port=PROBED_PORT).abandon()
    except ImdsNamespaceError as error:
        return str(error)
    return ""


def piped(options: dict[str, Any], *, reads: bool, writes: bool) -> dict[str, Any]:
    """Return ``options`` with the pipes through which a program reads, or writes, what :func:`subprocess.run` takes.

    Raises:
        ValueError: they say already where it reads or writes.
    """
    wanted = [("input", "stdin")] * reads + [("capture_output", "stdout"), ("capture_output", "stderr")] * writes
    for argument, stream in wanted:
        if options.get(stream) is not None:
            raise ValueError(f"{stream} cannot be given together with {argument}")
    return {**options, **{stream: subprocess.PIPE for _, stream in wanted}}


def finished(
    child: subprocess.Popen[Any], *, given: Any, timeout: float | None, check: bool
) -> subprocess.CompletedProcess[Any]:
    """Wait for a program, as :func:`subprocess.run` does.

    Raises:
        subprocess.TimeoutExpired: it took longer, and was killed.
        subprocess.CalledProcessError: ``check``, and it has failed.
    """
    with child:
        try:
            output, errors = child.communicate(given, timeout)
        except BaseException:
            child.kill()
            raise
    if check and child.returncode:
        raise subprocess.CalledProcessError(child.returncode, child.args, output, errors)
    return subprocess.CompletedProcess(child.args, child.returncode, output, errors)


def _command(args: Any, shell: bool, executable: Any) -> tuple[Any, list[Any]]:
    """Return the program and its arguments, its own name first, as :class:`subprocess.Popen` finds them."""
    arguments = [args] if isinstance(args, (str, bytes, os.PathLike)) else list(args)
    if shell:
        arguments = [*SHELL, *arguments]
        if executable is not None:
            arguments[0] = executable
    return arguments[0] if executable is None else executable, arguments


@contextmanager
def _hosts(names: Collection[str]) -> Iterator[str]:
    """Give the path of a file to take the place of /etc/hosts while a network is made; empty if no name needs it."""
    if not names:
        yield ""
        return
    with tempfile.NamedTemporaryFile("w", prefix="pytest-imds-hosts-") as file:
        os.fchmod(file.fileno(), 0o644)  # as /etc/hosts: the program may be another user's
        file.write(HOSTS.read_text(encoding="utf-8") if HOSTS.exists() else "")
        file.write(f"\n{addresses.hosts()[1]} {' '.join(names)}\n")
        file.flush()
        yield file.name
