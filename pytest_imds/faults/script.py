"""How the bytes of a reply leave where HTTP itself breaks: pure, for the connection to carry out."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from itertools import pairwise
from random import Random
from typing import NamedTuple

# More than fits on a line, so that a client that waits for the end of one sees none.
RANDOM_BYTES = 256


class End(Enum):
    """What becomes of the connection after the last byte."""

    KEEP = "stays open"
    CLOSE = "is closed"
    HALF_CLOSE = "is closed in one direction: the client may still send"
    RESET = "is reset: the client gets an RST"
    SILENCE = "stays open, and nothing more comes"


class Piece(NamedTuple):
    """Bytes, and how many seconds after those before they leave."""

    sent: bytes
    after_s: float = 0.0


class Script(NamedTuple):
    """What leaves, and how it ends."""

    pieces: tuple[Piece, ...]
    end: End


# From the head (status line and headers, with the empty line) and the body of the reply that would have left.
Writer = Callable[[bytes, bytes], Script]


def cut(after: int, end: End) -> Writer:
    """Send the first bytes of the reply, head and body together, and then no more."""
    return lambda head, body: Script(_pieces((head + body)[:after]), end)


def silent(after: int) -> Writer:
    """Send the head and the first bytes of the body, and nothing more; with 0 not even the head."""
    return lambda head, body: Script(_pieces(head + body[:after] if after else b""), End.SILENCE)


def truncated(count: int | None) -> Writer:
    """Send ``count`` bytes of the body, half of it by default, under a Content-Length that promises more."""

    def write(head: bytes, body: bytes) -> Script:
        sent = body[: len(body) // 2 if count is None else count]
        promised = max(len(body), len(sent) + 1)
        return Script(_pieces(_with_header(head, b"Content-Length: %d" % promised) + sent), End.CLOSE)

    return write


def malformed_chunk(head: bytes, body: bytes) -> Script:
    """Send half of the body as a chunk, and then a chunk whose length is no number."""
    half = body[: len(body) // 2]
    chunk = b"%x\r\n%b\r\n" % (len(half), half) if half else b""
    return Script(_pieces(_with_header(head, b"Transfer-Encoding: chunked") + chunk + b"not a length\r\n"), End.CLOSE)


def random_data(random: Random) -> Writer:
    """Send bytes that are no HTTP."""
    # The first byte has its high bit set: it begins no status line, whatever follows.
    return lambda *_: Script(_pieces(b"\xff" + random.randbytes(RANDOM_BYTES - 1)), End.CLOSE)


def dribble(chunks: int, over_s: float) -> Writer:
    """Send the head, and then the body in so many pieces, spread evenly over so many seconds."""

    def write(head: bytes, body: bytes) -> Script:
        count = max(1, min(chunks, len(body)))
        ends = [len(body) * number // count for number in range(count + 1)]
        dribbled = [Piece(body[start:end], over_s / count) for start, end in pairwise(ends)]
        return Script((Piece(head), *dribbled), End.KEEP)

    return write


def _pieces(sent: bytes) -> tuple[Piece, ...]:
    return (Piece(sent),) if sent else ()


def _with_header(head: bytes, line: bytes) -> bytes:
    """Return the head with ``line`` in place of whatever says how long the body is."""
    measures = (b"content-length:", b"transfer-encoding:")
    lines = [kept for kept in head.removesuffix(b"\r\n\r\n").split(b"\r\n") if not kept.lower().startswith(measures)]
    return b"\r\n".join([*lines, line, b"", b""])
