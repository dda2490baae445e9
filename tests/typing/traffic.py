"""The record as a user's type checker sees it. Checked by mypy, never run and never collected."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from typing_extensions import assert_type

from pytest_imds import Exchange, ImdsServer


def test_record(imds_server: ImdsServer) -> None:
    assert_type(imds_server.requests, tuple[Exchange, ...])
    one = imds_server.requests[0]
    assert_type((one.number, one.time, one.at_s, one.duration_s), tuple[int, datetime, float, float | None])
    assert_type((one.peer, one.method, one.path, one.target, one.line), tuple[tuple[str, int], str, str, str, str])
    assert_type(
        (one.query, one.headers, one.reply_headers), tuple[Mapping[str, str], Mapping[str, str], Mapping[str, str]]
    )
    assert_type((one.body, one.reply, one.bytes_sent), tuple[bytes, bytes, int])
    assert_type((one.status, one.faults, one.proxied), tuple[int | None, tuple[str, ...], bool])
    since = imds_server.clock.now
    found = imds_server.assert_requested("/metadata/*", times=2, query={"format": "text", "n": None}, since=since)
    assert_type(found, tuple[Exchange, ...])
    assert_type(imds_server.assert_not_requested("/metadata/*", query={"a": "1"}, since=since), None)
