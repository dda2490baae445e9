"""How the bytes of a reply leave where HTTP breaks; what a client makes of them, http.client says."""

from __future__ import annotations

import socket
from http.client import BadStatusLine, HTTPResponse, IncompleteRead
from io import BytesIO
from random import Random
from typing import BinaryIO, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_imds.faults import script
from pytest_imds.faults.script import End, Script

NAMES = st.sampled_from(["Server", "Date", "x-ms-request-id", "Content-Type"])
LINES = st.builds("{}: {}".format, NAMES, st.text("abc123;=/ ", max_size=12))
BODIES = st.binary(max_size=40)
COUNTS = st.integers(0, 60)
ENDS = st.sampled_from(End)


@st.composite
def replies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Head and body of a reply that says, in a header somewhere, how long it is."""
    body = draw(BODIES)
    lines = draw(st.lists(LINES, max_size=4))
    lines.insert(
        draw(st.integers(0, len(lines))), f"{draw(st.sampled_from(['Content-Length', 'content-length']))}: {len(body)}"
    )
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode(), body


class Bytes:
    """What a client gets from a connection: these bytes, and then its end."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, mode: str) -> BinaryIO:
        return BytesIO(self._received)


def sent(written: Script) -> bytes:
    return b"".join(piece.sent for piece in written.pieces)


def received(written: Script) -> HTTPResponse:
    response = HTTPResponse(cast(socket.socket, Bytes(sent(written))))
    response.begin()
    return response


def without_lengths(head: bytes) -> list[bytes]:
    lengths = (b"content-length:", b"transfer-encoding:")
    return [line for line in head.split(b"\r\n") if not line.lower().startswith(lengths)]


@given(replies(), COUNTS, ENDS)
def test_what_is_cut_off_is_a_beginning_of_the_reply(reply: tuple[bytes, bytes], after: int, end: End) -> None:
    written = script.cut(after, end)(*reply)

    assert sent(written) == b"".join(reply)[:after]
    assert written.end is end


@given(replies(), COUNTS)
def test_silence_comes_after_the_head_and_some_of_the_body_or_at_once(reply: tuple[bytes, bytes], after: int) -> None:
    head, body = reply
    written = script.silent(after)(head, body)

    assert sent(written) == (head + body[:after] if after else b"")
    assert written.end is End.SILENCE


@given(replies(), st.none() | COUNTS)
def test_a_truncated_reply_promises_more_than_it_sends(reply: tuple[bytes, bytes], count: int | None) -> None:
    head, body = reply
    written = script.truncated(count)(head, body)
    response = received(written)
    with pytest.raises(IncompleteRead) as broken:
        response.read()

    assert broken.value.partial == body[: len(body) // 2 if count is None else count]
    assert len(response.headers.get_all("Content-Length", [])) == 1
    assert without_lengths(sent(written).partition(b"\r\n\r\n")[0]) == without_lengths(head)[:-2]
    assert written.end is End.CLOSE


@given(replies())
def test_a_truncated_reply_promises_the_whole_body(reply: tuple[bytes, bytes]) -> None:
    head, body = reply

    assert received(script.truncated(None)(head, body)).length == max(1, len(body))


@given(replies())
@example((b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""))
def test_a_malformed_chunk_follows_half_of_the_body_and_has_no_end(reply: tuple[bytes, bytes]) -> None:
    head, body = reply
    written = script.malformed_chunk(head, body)
    response = received(written)
    with pytest.raises(IncompleteRead) as broken:
        response.read()

    assert broken.value.partial == body[: len(body) // 2]
    assert (response.chunked, response.headers.get("Content-Length")) == (True, None)
    assert without_lengths(sent(written).partition(b"\r\n\r\n")[0]) == without_lengths(head)[:-2]
    assert written.end is End.CLOSE


@given(replies(), st.integers(1, 60), st.floats(0, 1000))
def test_a_reply_that_dribbles_is_whole(reply: tuple[bytes, bytes], chunks: int, over_s: float) -> None:
    head, body = reply
    written = script.dribble(chunks, over_s)(head, body)
    first, *dribbled = written.pieces

    assert first == (head, 0)
    assert received(written).read() == body
    assert written.end is End.KEEP
    assert len(dribbled) == max(1, min(chunks, len(body)))
    assert all(piece.sent for piece in dribbled) or not body


@given(replies(), st.integers(1, 60), st.floats(0, 1000))
def test_a_reply_dribbles_evenly(reply: tuple[bytes, bytes], chunks: int, over_s: float) -> None:
    _, *dribbled = script.dribble(chunks, over_s)(*reply).pieces
    sizes = [len(piece.sent) for piece in dribbled]

    assert sum(piece.after_s for piece in dribbled) == pytest.approx(over_s)
    assert len({piece.after_s for piece in dribbled}) == 1
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(), replies())
def test_random_data_is_no_http(seed: int, reply: tuple[bytes, bytes]) -> None:
    written = script.random_data(Random(seed))(*reply)
    with pytest.raises(BadStatusLine):
        received(written)

    assert not sent(written).startswith(b"HTTP/")
    assert len(sent(written)) == script.RANDOM_BYTES
    assert written.end is End.CLOSE


def test_random_data_differs_from_reply_to_reply() -> None:
    write = script.random_data(Random(0))

    assert write(b"", b"") != write(b"", b"")


@given(replies(), COUNTS)
def test_no_empty_piece_is_sent_where_nothing_dribbles(reply: tuple[bytes, bytes], count: int) -> None:
    head, body = reply
    written = [
        script.cut(count, End.CLOSE)(head, body),
        script.silent(count)(head, body),
        script.truncated(count)(head, body),
        script.malformed_chunk(head, body),
    ]

    assert all(piece.sent for one in written for piece in one.pieces)
