"""Reads the head of an HTTP/1 request, strictly (RFC 9112).

:mod:`http.server` reads it with the parser of e-mail headers, which takes as
long as the rest of a request together and lets through what a test double had
better refuse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO

from werkzeug.datastructures import Headers

# Request line and headers together; see "head-too-large" in fixtures_data/errors.json.
MAX_HEAD = 64 * 1024

REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[\x21-\x7e\x80-\xff]*) (HTTP/1\.[0-9])\r?\n")
HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00\r\n]*?)[ \t]*\r?\n")


class RefusedError(Exception):
    """A head that gets no further; the argument is its row in ``fixtures_data/errors.json``."""


@dataclass(frozen=True)
class Head:
    """The request line and the headers."""

    method: str
    target: str
    version: str
    headers: Headers

    @property
    def wants_close(self) -> bool:
        """Whether the client closes the connection after the reply."""
        connection = self.headers.get("Connection", "").lower()
        return "close" in connection or (self.version == "HTTP/1.0" and "keep-alive" not in connection)


def read_head(stream: BinaryIO) -> Head | None:
    """Read the head of the next request.

    Returns:
        The head, or None if the client has closed the connection or has sent
        nothing until the time is up.

    Raises:
        RefusedError: it is malformed or too large, or stopped half-way.
    """
    try:
        line = stream.readline(MAX_HEAD + 1)
    except TimeoutError:
        return None
    if not line:
        return None
    try:
        return _read_rest(stream, line)
    except TimeoutError:
        raise RefusedError("request-timeout") from None


def _read_rest(stream: BinaryIO, line: bytes) -> Head:
    size = len(line)
    request_line = REQUEST_LINE.fullmatch(line)
    if request_line is None:
        raise RefusedError("head-too-large" if size > MAX_HEAD else "malformed")
    pairs = []
    while True:
        line = stream.readline(MAX_HEAD + 1)
        size += len(line)
        if size > MAX_HEAD:
            raise RefusedError("head-too-large")
        if line in (b"\r\n", b"\n"):
            break
        header = HEADER_LINE.fullmatch(line)
        if header is None:
            raise RefusedError("malformed")
        pairs.append((header[1].decode("ascii"), header[2].decode("latin-1")))
    headers = Headers(pairs)
    _check_framing(headers)
    method, target, version = request_line.groups()
    return Head(method.decode("ascii"), target.decode("latin-1"), version.decode("ascii"), headers)


def _check_framing(headers: Headers) -> None:
    """Refuse a head that leaves open where its body ends."""
    lengths = set(headers.getlist("Content-Length"))
    codings = headers.getlist("Transfer-Encoding")
    plain = all(length.isascii() and length.isdecimal() for length in lengths)
    if not plain or len(lengths) > 1 or (codings and (lengths or [c.lower() for c in codings] != ["chunked"])):
        raise RefusedError("malformed")
