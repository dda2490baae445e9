"""Reads the head of an HTTP/1 request, strictly (RFC 9112).

:mod:`http.server` reads it with the parser of e-mail headers, which takes as
long as the rest of a request together and lets through what a test double had
better refuse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO

# Request line and headers together; see "head-too-large" in fixtures_data/errors.json.
MAX_HEAD = 64 * 1024

# A header longer than that is not worth remembering.
SHORT = 256

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
REQUEST_LINE = re.compile(rb"(?P<method>%b) (?P<target>/[\x21-\x7e\x80-\xff]*) (?P<version>HTTP/1\.[0-9])\r?\n" % TOKEN)
# What clients send to a proxy; who is no proxy has to accept it, too (RFC 9112, section 3.2.2).
PROXY_LINE = re.compile(
    rb"(?P<method>%b) (?i:http)://(?P<authority>(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?)"
    rb"(?P<target>(?:[/?][\x21-\x7e\x80-\xff]*)?) (?P<version>HTTP/1\.[0-9])\r?\n" % TOKEN
)
HEADER_LINE = re.compile(rb"(%b):[ \t]*([^\x00\r\n]*?)[ \t]*\r?\n" % TOKEN)


class RefusedError(Exception):
    """A head that gets no further; the argument is its row in ``fixtures_data/errors.json``."""


@dataclass
class Head:
    """The request line and the headers, these named as WSGI names them: ``HTTP_METADATA``.

    A header that is repeated has its values joined by commas. One whose name
    has an underscore is left out: it would pass for the one with a hyphen.
    ``size`` is how many bytes all of it took. ``authority`` is whom the request
    is for where it was sent as to a proxy, and empty elsewhere.
    """

    method: str
    target: str
    version: str
    headers: dict[str, str]
    size: int = field(default=0, compare=False)
    authority: str = ""

    @property
    def line(self) -> str:
        """The request as it is told: verb and target."""
        return f"{self.method} {self.target}"

    @property
    def wants_close(self) -> bool:
        """Whether the client closes the connection after the reply."""
        connection = self.headers.get("HTTP_CONNECTION", "").lower()
        return "close" in connection or (self.version == "HTTP/1.0" and "keep-alive" not in connection)

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return "HTTP_TRANSFER_ENCODING" in self.headers


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
    request_line = REQUEST_LINE.fullmatch(line) or PROXY_LINE.fullmatch(line)
    if request_line is None:
        raise RefusedError("head-too-large" if size > MAX_HEAD else "malformed")
    headers: dict[str, str] = {}
    while (line := stream.readline(MAX_HEAD + 1)) not in (b"\r\n", b"\n"):
        size += len(line)
        if size > MAX_HEAD:
            raise RefusedError("head-too-large")
        name, value = _known(line) if len(line) <= SHORT else _header(line)
        if name is not None:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    _check_framing(headers)
    method, target, version = request_line.group("method", "target", "version")
    head = Head(method.decode("ascii"), target.decode("latin-1"), version.decode("ascii"), headers, size)
    if request_line.re is PROXY_LINE:
        head.authority = headers["HTTP_HOST"] = request_line["authority"].decode("ascii")  # whatever the header says
        head.target = head.target if head.target.startswith("/") else f"/{head.target}"
    return head


def _header(line: bytes) -> tuple[str | None, str]:
    """Return the name of a header, None if it does not count, and its value."""
    header = HEADER_LINE.fullmatch(line)
    if header is None:
        raise RefusedError("malformed")
    upper = header[1].decode("ascii").upper().replace("-", "_")
    name = upper if upper in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{upper}"
    return None if b"_" in header[1] else name, header[2].decode("latin-1")


# A client sends the same headers again and again.
_known = lru_cache(maxsize=256)(_header)


def _check_framing(headers: dict[str, str]) -> None:
    """Refuse a head that leaves open where its body ends."""
    length, coding = headers.get("CONTENT_LENGTH"), headers.get("HTTP_TRANSFER_ENCODING")
    if length is not None and not (length.isascii() and length.isdecimal()):
        raise RefusedError("malformed")
    if coding is not None and (length is not None or coding.lower() != "chunked"):
        raise RefusedError("malformed")
