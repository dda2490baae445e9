"""What every test may use, and what none may do."""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator
from typing import Any

import pytest

pytest_plugins = ["pytester"]

# The real ones: a metadata service may answer there.
AZURE = {"169.254.169.254", "168.63.129.16", "::ffff:169.254.169.254", "::ffff:168.63.129.16"}


class LeakError(BaseException):
    """Something was about to leave this machine for the real metadata service; nothing may take it for less."""


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what a socket of this process is really to connect to, whatever was led elsewhere before."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if isinstance(address, tuple) and address[0] in AZURE:
            raise LeakError(f"{event} to {address}")


sys.addaudithook(_refuse)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while the tests are collected: they are many, they stay, and there is hardly any."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.unfreeze()  # into the oldest generation at once, which is looked through the least
        gc.enable()
