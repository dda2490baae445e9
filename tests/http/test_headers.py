"""The headers of replies: those of the real senders, in their order, and no others."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from uuid import UUID

import pytest

from pytest_imds import ImdsServer, data
from tests.http.wire import INSTANCE, METADATA, Wire, fetch, request

NAME = "/metadata/instance/compute/name?api-version=2021-02-01"

# Each answer that a sender gives: sender, verb, target, headers, status, Content-Type.
ANSWERS = [
    ("imds", "GET", INSTANCE, METADATA, 200, "application/json; charset=utf-8"),
    ("imds", "GET", "/metadata/versions", METADATA, 200, "application/json; charset=utf-8"),
    ("imds", "GET", f"{NAME}&format=text", METADATA, 200, "text/plain; charset=utf-8"),
    ("imds", "GET", f"{INSTANCE}&format=text", METADATA, 200, "text/plain; charset=utf-8"),
    ("imds", "GET", NAME, METADATA, 400, "application/json; charset=utf-8"),
    ("imds", "GET", INSTANCE, (), 400, "application/json; charset=utf-8"),
    ("imds", "GET", "/metadata/instance", METADATA, 400, "application/json; charset=utf-8"),
    ("imds", "POST", INSTANCE, METADATA, 405, "application/json; charset=utf-8"),
    ("imds", "GET", f"{INSTANCE.replace('?', '/x?')}", METADATA, 404, "application/json; charset=utf-8"),
    ("host", "GET", "/", METADATA, 404, "text/html"),
    ("host-head", "HEAD", INSTANCE, METADATA, 400, "text/xml; charset=utf-8"),
    ("host-head", "HEAD", "/", (), 400, "text/xml; charset=utf-8"),
]
BY_ANSWER = pytest.mark.parametrize(("sender", "method", "target", "headers", "status", "content_type"), ANSWERS)
Sent = tuple[tuple[str, str], ...]


@BY_ANSWER
def test_headers_are_those_of_the_sender_in_its_order(
    imds_server: ImdsServer, sender: str, method: str, target: str, headers: Sent, status: int, content_type: str
) -> None:
    reply = fetch(imds_server, target, method=method, headers=headers)
    known = data.read("senders")[sender]
    assert reply.status == status
    assert [name for name, _ in reply.headers] == known["headers"]
    assert reply.header("Server") == known["server"]
    assert reply.header("Content-Type") == content_type


@BY_ANSWER
def test_headers_on_a_kept_connection_are_the_same(
    imds_server: ImdsServer, sender: str, method: str, target: str, headers: Sent, status: int, content_type: str
) -> None:
    with Wire(imds_server) as wire:
        for _ in range(2):
            wire.send(request(target, method=method, headers=headers))
            reply = wire.reply(method)
            assert reply.status == status
            assert [name for name, _ in reply.headers] == data.read("senders")[sender]["headers"]
            assert reply.header("Content-Type") == content_type


def test_content_length_counts_the_bytes_of_the_body(imds_server: ImdsServer) -> None:
    for sender, method, target, headers, _, _ in ANSWERS:
        reply = fetch(imds_server, target, method=method, headers=headers)
        assert reply.header("Content-Length") == ("323" if sender == "host-head" else str(len(reply.body)))


@pytest.mark.parametrize(("method", "target"), [("GET", INSTANCE), ("GET", "/"), ("HEAD", "/")])
def test_date_is_now_as_rfc_1123_writes_it(imds_server: ImdsServer, method: str, target: str) -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    date = fetch(imds_server, target, method=method).header("Date") or ""
    assert re.fullmatch(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT", date)
    assert before <= parsedate_to_datetime(date) <= before + timedelta(seconds=5)


def test_date_is_the_time_of_the_servers_clock(imds_server: ImdsServer) -> None:
    earliest = int(imds_server.clock.time())
    date = parsedate_to_datetime(fetch(imds_server, INSTANCE).header("Date") or "")
    assert earliest <= date.timestamp() <= imds_server.clock.time()


def test_request_id_is_a_guid_and_every_reply_has_another(imds_server: ImdsServer) -> None:
    ids = [fetch(imds_server, target).header("x-ms-request-id") for target in [INSTANCE, "/metadata"] * 10]
    assert all(request_id and str(UUID(request_id)) == request_id for request_id in ids)
    assert len(set(ids)) == 20


def test_reply_that_closes_the_connection_says_so_after_the_sender_s_headers(imds_server: ImdsServer) -> None:
    reply = fetch(imds_server, INSTANCE, headers=[*METADATA, ("Connection", "close")])
    assert [name for name, _ in reply.headers] == [*data.read("senders")["imds"]["headers"], "Connection"]
    assert reply.header("Connection") == "close"


def test_body_is_compact_json_without_a_final_newline(imds_server: ImdsServer) -> None:
    body = fetch(imds_server, INSTANCE).body
    assert body.startswith(b'{"compute":{"')
    assert body.endswith(b"}]}}")
    assert b'": "' not in body
