"""Keeps these tests from running where a metadata service may answer, and notes which names they look up."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from typing import Any

import pytest

_names: list[str] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo" and isinstance(arguments[0], str):
        with suppress(OSError):
            socket.inet_aton(arguments[0])
            return
        _names.append(arguments[0])


sys.addaudithook(_note)


@pytest.fixture(autouse=True, scope="session")
def _network() -> None:
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        pytest.skip("tests/network/test_private_network.py runs it, in a network of its own")


@pytest.fixture
def names() -> list[str]:
    """The names that Python's resolver has been asked for during the test, besides addresses."""
    _names.clear()
    return _names
