"""Which bytes are the head of an HTTP request."""

from __future__ import annotations

from io import BytesIO, RawIOBase

import pytest

from pytest_imds import data
from pytest_imds.head import MAX_HEAD, Head, RefusedError, read_head
from tests.every import every

LINE = b"GET /metadata HTTP/1.1\r\n"


def read(content: bytes) -> Head:
    head = read_head(BytesIO(content))
    assert head is not None
    return head


@pytest.mark.parametrize(
    ("line", "method", "target", "version"),
    [
        (b"GET / HTTP/1.1\r\n", "GET", "/", "HTTP/1.1"),
        (b"GET / HTTP/1.1\n", "GET", "/", "HTTP/1.1"),
        (b"GET / HTTP/1.0\r\n", "GET", "/", "HTTP/1.0"),
        (b"M-SEARCH / HTTP/1.1\r\n", "M-SEARCH", "/", "HTTP/1.1"),
        (b"GET //a/%20b?c=d&e HTTP/1.1\r\n", "GET", "//a/%20b?c=d&e", "HTTP/1.1"),
        (b"GET /\xc3\xbc HTTP/1.1\r\n", "GET", "/\u00c3\u00bc", "HTTP/1.1"),
    ],
)
def test_a_request_line_is_read(line: bytes, method: str, target: str, version: str) -> None:
    assert read(line + b"\r\n") == Head(method, target, version, {})


@every(
    ("url", "authority", "target"),
    [
        (b"http://169.254.169.254/metadata?a=b", "169.254.169.254", "/metadata?a=b"),
        (b"HTTP://example.org:8080/", "example.org:8080", "/"),
        (b"http://example.org", "example.org", "/"),
        (b"http://example.org:?a", "example.org:", "/?a"),
        (b"http://[::1]:80/a/b", "[::1]:80", "/a/b"),
    ],
)
def test_a_request_to_a_proxy_is_read_and_says_whom_it_is_for(url: bytes, authority: str, target: str) -> None:
    head = read(b"GET " + url + b" HTTP/1.1\r\nHost: other\r\n\r\n")

    assert head == Head("GET", target, "HTTP/1.1", {"HTTP_HOST": authority}, authority=authority)


@every(
    ("lines", "headers"),
    [
        (b"Metadata: true\r\n", {"HTTP_METADATA": "true"}),
        (b"METADATA: True\r\n", {"HTTP_METADATA": "True"}),
        (b"Metadata:true\n", {"HTTP_METADATA": "true"}),
        (b"Metadata: \t true \t\r\n", {"HTTP_METADATA": "true"}),
        (b"Metadata:\r\n", {"HTTP_METADATA": ""}),
        (b"X-Forwarded-For: 10.0.0.1\r\n", {"HTTP_X_FORWARDED_FOR": "10.0.0.1"}),
        (b"X_Forwarded_For: 10.0.0.1\r\n", {}),
        (b"User-Agent: a: b, c\r\n", {"HTTP_USER_AGENT": "a: b, c"}),
        (b"Accept: a\r\naccept: b\r\n", {"HTTP_ACCEPT": "a,b"}),
        (b"Content-Length: 5\r\nContent-Type: x/y\r\n", {"CONTENT_LENGTH": "5", "CONTENT_TYPE": "x/y"}),
        (b"Name: \xfcber\r\n", {"HTTP_NAME": "\u00fcber"}),
    ],
)
def test_headers_are_read(lines: bytes, headers: dict[str, str]) -> None:
    assert read(LINE + lines + b"\r\n").headers == headers


def test_what_follows_the_head_is_left_to_be_read() -> None:
    stream = BytesIO(LINE + b"Content-Length: 2\r\n\r\nab" + LINE + b"\r\n")

    first = read_head(stream)
    assert (first, stream.read(2)) == (Head("GET", "/metadata", "HTTP/1.1", {"CONTENT_LENGTH": "2"}), b"ab")
    assert read_head(stream) == Head("GET", "/metadata", "HTTP/1.1", {})
    assert read_head(stream) is None


@pytest.mark.parametrize(
    ("head", "closes"),
    [
        (b"GET / HTTP/1.1\r\n", False),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: Close, Upgrade\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: keep-alive\r\n", False),
        (b"GET / HTTP/1.0\r\n", True),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n", False),
    ],
)
def test_the_client_says_whether_it_closes(head: bytes, closes: bool) -> None:
    assert read(head + b"\r\n").wants_close is closes


@pytest.mark.parametrize(("line", "chunked"), [(b"Transfer-Encoding: Chunked\r\n", True), (b"", False)])
def test_a_body_may_come_in_chunks(line: bytes, chunked: bool) -> None:
    assert read(LINE + line + b"\r\n").chunked is chunked


@every(
    "content",
    [
        b"GET\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1 \r\n\r\n",
        b" GET / HTTP/1.1\r\n\r\n",
        b"G(T / HTTP/1.1\r\n\r\n",
        b"GET metadata HTTP/1.1\r\n\r\n",
        b"GET * HTTP/1.1\r\n\r\n",
        b"GET https://127.0.0.1/metadata HTTP/1.1\r\n\r\n",
        b"GET http:///metadata HTTP/1.1\r\n\r\n",
        b"GET http://user@127.0.0.1/ HTTP/1.1\r\n\r\n",
        b"GET http://127.0.0.1:x/ HTTP/1.1\r\n\r\n",
        b"GET http://127.0.0.1:80:80/ HTTP/1.1\r\n\r\n",
        b"GET http://[g]/ HTTP/1.1\r\n\r\n",
        b"GET http://127.0.0.1#a HTTP/1.1\r\n\r\n",
        b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET /\x7f HTTP/1.1\r\n\r\n",
        b"GET / http/1.1\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/1.10\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        LINE + b"Metadata\r\n\r\n",
        LINE + b": true\r\n\r\n",
        LINE + b"Metadata : true\r\n\r\n",
        LINE + b" Metadata: true\r\n\r\n",
        LINE + b"Metadata: true\r\n folded\r\n\r\n",
        LINE + b"Metadata: tr\x00ue\r\n\r\n",
        LINE + b"Metadata: tr\rue\r\n\r\n",
        LINE + b"M\xe9tadata: true\r\n\r\n",
        LINE + b"Content-Length: -1\r\n\r\n",
        LINE + b"Content-Length: +1\r\n\r\n",
        LINE + b"Content-Length: 0x1\r\n\r\n",
        LINE + b"Content-Length: \xb2\r\n\r\n",
        LINE + b"Content-Length: \r\n\r\n",
        LINE + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        LINE + b"Transfer-Encoding: gzip\r\n\r\n",
        LINE + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        LINE + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        LINE + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        b"GET / HT",
        LINE,
        LINE + b"Metadata: tr",
        LINE + b"Metadata: true\r\n",
    ],
)
def test_what_is_no_head_is_malformed(content: bytes) -> None:
    with pytest.raises(RefusedError, match=r"^malformed$"):
        read_head(BytesIO(content))


@pytest.mark.parametrize(
    "content",
    [
        b"GET /" + b"a" * MAX_HEAD + b" HTTP/1.1\r\n\r\n",
        b"a" * (MAX_HEAD + 1),
        LINE + b"A: " + b"a" * MAX_HEAD + b"\r\n\r\n",
        LINE + b"A: b\r\n" * (MAX_HEAD // 6) + b"\r\n",
    ],
    ids=["target", "no end of line", "one header", "many headers"],
)
def test_a_head_of_more_than_64_kib_is_too_large(content: bytes) -> None:
    with pytest.raises(RefusedError, match=r"^head-too-large$"):
        read_head(BytesIO(content))


def test_no_more_than_the_limit_is_read_of_an_endless_line() -> None:
    stream = BytesIO(b"a" * (4 * MAX_HEAD))

    with pytest.raises(RefusedError):
        read_head(stream)
    assert stream.tell() == MAX_HEAD + 1


def test_a_head_of_64_kib_is_read() -> None:
    value = b"a" * (MAX_HEAD - len(LINE) - len(b"A: \r\n"))

    assert read(LINE + b"A: " + value + b"\r\n\r\n").headers == {"HTTP_A": value.decode()}


class Silent(RawIOBase):
    """A connection that times out when what it has received is used up."""

    def __init__(self, content: bytes) -> None:
        self._lines = BytesIO(content).readlines()

    def readline(self, size: int | None = -1, /) -> bytes:
        if not self._lines:
            raise TimeoutError
        return self._lines.pop(0)


@pytest.mark.parametrize("content", [LINE, LINE + b"Metadata: true\r\n"])
def test_a_head_that_stops_half_way_is_a_timeout(content: bytes) -> None:
    with pytest.raises(RefusedError, match=r"^request-timeout$"):
        read_head(Silent(content))  # type: ignore[arg-type]


def test_a_connection_that_stays_silent_has_no_next_request() -> None:
    assert read_head(Silent(b"")) is None  # type: ignore[arg-type]


def test_a_closed_connection_has_no_next_request() -> None:
    assert read_head(BytesIO(b"")) is None


@pytest.mark.parametrize("name", ["malformed", "head-too-large", "request-timeout"])
def test_every_refusal_is_in_the_data(name: str) -> None:
    assert data.read("errors")[name]["status"] in (400, 408, 431)
