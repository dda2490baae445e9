"""Which hosts are those of Azure, however they are written."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_imds.network import addresses


def test_the_addresses_are_those_of_azure() -> None:
    assert addresses.hosts() == ("169.254.169.254", "168.63.129.16")


@pytest.mark.parametrize(
    "written",
    [
        "169.254.169.254",
        b"169.254.169.254",
        bytearray(b"169.254.169.254"),
        "2852039166",
        "0xa9fea9fe",
        "169.254.43518",
        "0251.0376.0251.0376",
        "::ffff:169.254.169.254",
        "::FFFF:a9fe:a9fe",
        "0:0:0:0:0:ffff:a9fe:a9fe",
    ],
)
def test_every_way_to_write_the_address_is_known(written: Any) -> None:
    assert addresses.of_azure(written) == "169.254.169.254"


def test_the_host_s_address_is_another() -> None:
    assert addresses.of_azure("168.63.129.16") == addresses.of_azure("2822734096") == "168.63.129.16"


@pytest.mark.parametrize(
    "other",
    [
        "169.254.169.253",
        "127.0.0.1",
        "localhost",
        "169.254.169.254.example",
        "::1",
        "::169.254.169.254",
        "fe80::1%eth0",
        "",
        "é",
        b"\xff",
        None,
        2852039166,
        ("169.254.169.254",),
    ],
)
def test_what_is_another_address_or_none_is_not_ours(other: Any) -> None:
    assert addresses.of_azure(other) is None


@pytest.mark.parametrize(
    ("port", "is_http"),
    [
        (80, True),
        ("80", True),
        (b"80", True),
        ("http", True),
        (443, False),
        ("https", False),
        (None, False),
        (0, False),
    ],
)
def test_the_port_is_known_by_number_and_by_name(port: Any, is_http: bool) -> None:
    assert addresses.is_http(port) is is_http
