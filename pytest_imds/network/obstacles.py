"""What may keep a program from having a network of its own, and how to allow it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

# A file of /proc, what stands there when it is in the way, and what to do.
SWITCHES = (
    (
        "sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "Ubuntu 23.10 and later, GitHub's runners too: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    ("sys/kernel/unprivileged_userns_clone", "0", "Debian: sudo sysctl -w kernel.unprivileged_userns_clone=1"),
    ("sys/user/max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=15000"),
    ("sys/user/max_net_namespaces", "0", "sudo sysctl -w user.max_net_namespaces=15000"),
)
SECCOMP = (
    "a container whose seccomp profile forbids unshare, as Docker's does:"
    " docker run --security-opt seccomp=unconfined, or a profile that allows unshare and mount"
)


def advice(proc: Path = Path("/proc")) -> list[str]:
    """Return what stands in the way on this machine, a line each; all that is known where nothing does."""
    found = [what for file, closed, what in SWITCHES if _read(proc / file) == closed]
    if "Seccomp:\t2" in _read(proc / "self" / "status").splitlines():
        found.append(SECCOMP)
    return found or [*(what for _, _, what in SWITCHES), SECCOMP]


def _read(path: Path) -> str:
    with suppress(OSError):  # other kernels do not have it
        return path.read_text(encoding="utf-8").strip()
    return ""
