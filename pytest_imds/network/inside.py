"""Makes a network for a program, hands over sockets that listen in it, and becomes that program when it is told to.

``child`` runs this file by itself, in an interpreter without site-packages, so it imports nothing of the package and as
little as it can: a test waits for it. Arguments: the descriptor of a socket to report to; where to listen, such as
``169.254.169.254:80,127.0.0.1:8080``; the path of a file that takes the place of /etc/hosts, or nothing; the program;
and its arguments from the first, its own name, on.

A socket stays in the network that it was made in: who is handed one that listens can accept from there, and it takes
no relay and no privilege.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal would bring enum, which takes as long as all the rest
import _socket
import ctypes
import os
import sys
from fcntl import ioctl
from struct import pack
from typing import NoReturn

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C
IFF_UP, IFF_RUNNING = 0x1, 0x40
BACKLOG = 128
HOSTS = "/etc/hosts"


class StepError(Exception):
    """A step that the system refused: which, and the number of the error."""


def main(report_to: str, listen: str, hosts: str, program: str, *arguments: str) -> NoReturn:
    """Do all of it; what goes wrong is reported, as the number of the error and the step."""
    report = _socket.socket(fileno=int(report_to))
    os.set_inheritable(report.fileno(), False)  # that it closes tells that the program has begun
    try:
        listening = make([(host, int(port)) for host, port in (one.split(":") for one in listen.split(","))], hosts)
    except StepError as refused:
        step, number = refused.args
        report.send(f"{number} {step}".encode())
        sys.exit(1)
    descriptors = pack(f"{len(listening)}i", *(one.fileno() for one in listening))
    namespace = os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116 - pathlib takes longer to import than all the rest
    report.sendmsg([str(namespace).encode()], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
    if not report.recv(1):  # nobody waits for the program any more
        sys.exit(1)
    # The interpreter ignores these two, and what is ignored stays so in the program.
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)
    try:
        os.execvpe(program, arguments, environment())  # noqa: S606 - that is its purpose
    except OSError as error:
        report.send(str(error.errno).encode())
        sys.exit(1)


def make(listen: list[tuple[str, int]], hosts: str = "") -> list[_socket.socket]:
    """Make the network: nothing but a loopback interface, with addresses that are listened on.

    Args:
        listen: addresses and ports.
        hosts: the path of a file that takes the place of /etc/hosts; empty leaves it as it is.

    Raises:
        StepError: the system refuses a step.
    """
    user, group = os.getuid(), os.getgid()
    unshare(CLONE_NEWUSER | CLONE_NEWNET | (CLONE_NEWNS if hosts else 0))
    # The program keeps its user. Who may not write these has no right in the new network either.
    for name, content in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        write(f"/proc/self/{name}", content)
    bring_up({host for host, _ in listen if not host.startswith("127.")})
    if hosts:
        mount("none", "/", MS_REC | MS_PRIVATE)
        mount(hosts, HOSTS, MS_BIND)
    return [listener(host, port) for host, port in listen]


def unshare(flags: int) -> None:
    """Move this process into namespaces of its own."""
    if _libc().unshare(flags) != 0:
        raise StepError("unshare", ctypes.get_errno())


def mount(source: str, target: str, flags: int) -> None:
    """Mount ``source`` at ``target``, or change how what is there is mounted."""
    if _libc().mount(source.encode(), target.encode(), None, flags, None) != 0:
        raise StepError(f"mounting {target}", ctypes.get_errno())


def write(path: str, content: str) -> None:
    """Write a file of /proc."""
    try:
        with open(path, "w") as file:  # noqa: PTH123 - as above
            file.write(content)
    except OSError as error:
        raise StepError(f"writing {path}", error.errno) from None


def bring_up(hosts: set[str]) -> None:
    """Bring the loopback interface up, with further addresses."""
    requests = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        ioctl(requests.fileno(), SIOCSIFFLAGS, pack("16sH14x", b"lo", IFF_UP | IFF_RUNNING))
        for number, host in enumerate(sorted(hosts)):
            for request, address in ((SIOCSIFADDR, host), (SIOCSIFNETMASK, "255.255.255.255")):
                of_internet = pack("HH4s8x", _socket.AF_INET, 0, _socket.inet_aton(address))
                ioctl(requests.fileno(), request, pack("16s16s", b"lo:%d" % number, of_internet))
    except OSError as error:
        raise StepError("bringing up the loopback interface", error.errno) from None
    finally:
        requests.close()


def listener(host: str, port: int) -> _socket.socket:
    """Return a socket that listens."""
    listening = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        raise StepError(f"listening on {host}:{port}", error.errno) from None
    return listening


def environment() -> dict[bytes, bytes]:
    """Return the environment as this process was given it: the interpreter may have added to its own."""
    with open("/proc/self/environ", "rb") as file:  # noqa: PTH123 - as above
        pairs = (entry.partition(b"=") for entry in file.read().split(b"\0") if entry)
        return {name: value for name, _, value in pairs}


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
