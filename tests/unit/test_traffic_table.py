"""The table of requests: it fits, it cuts what nobody reads, and it has a bound."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from pytest_imds.traffic.shortened import readable, shortened
from pytest_imds.traffic.table import FIRST, LAST, table
from tests.every import every
from tests.exchanges import exchange

JWT = ".".join(["eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9", "eyJhdWQiOiJodHRwczovL3ZhdWx0In0", "x_y-z" * 60])
SIGNATURE = base64.b64encode(bytes(range(256)) * 9).decode()


def lines(*exchanges: object, width: int = 80, dropped: int = 0, bodies: bool = False) -> list[str]:
    return list(table(exchanges, dropped, width, bodies=bodies))  # type: ignore[arg-type]


def test_it_has_a_line_for_each_request() -> None:
    rows = lines(
        exchange(1, at_s=0.004, status=410, faults=("latency", "gone"), duration_s=0.3),
        exchange(2, at_s=10.3, status=None, proxied=True),
        exchange(3, method="", target="", at_s=12, status=400),
    )
    assert rows == [
        "#    at s  took s  request                                  reply  fault",
        "1   0.004   0.300  GET /metadata/instance?api-version=202…    410  latency, gone",
        "2  10.300       -  GET /metadata/instance?api-version=202…   none  via proxy",
        "3  12.000   0.001  no HTTP request                            400",
    ]


def test_how_long_it_took_is_told_where_that_is_of_interest() -> None:
    assert "took s" not in lines(exchange(1, duration_s=0.049))[0]
    assert "took s" in lines(exchange(1), exchange(2, duration_s=0.05))[0]
    assert "took s" in lines(exchange(1, status=None))[0]


@given(width=st.integers(60, 200), target=st.text("ab/?=&", max_size=300), faults=st.lists(st.just("gone"), max_size=2))
def test_no_line_is_wider_than_the_terminal(width: int, target: str, faults: list[str]) -> None:
    rows = lines(
        exchange(
            1, f"/{target}", at_s=3600.0, status=None, faults=tuple(faults), body=target.encode(), reply=b"r" * 300
        ),
        width=width,
        bodies=True,
    )
    assert [row for row in rows if len(row) > width] == []


def test_a_line_that_is_cut_is_whole_with_the_bodies() -> None:
    target = "/metadata/instance?" + "&".join(f"p{number}=1" for number in range(30))
    row, *below = lines(exchange(1, target), bodies=True)[1:]
    assert "…" in row
    assert "".join(line.strip() for line in below) == f"GET {target}"


def test_bodies_are_there_if_they_are_asked_for() -> None:
    asked = exchange(1, method="POST", body=b'{"csr":"x"}', reply=b'{"compute":\n{}}')
    assert lines(asked, bodies=True)[2:] == ['      > {"csr":"x"}', '      < {"compute":', "      < {}}"]
    assert len(lines(asked)) == 2


def test_of_many_the_first_and_the_last_are_shown() -> None:
    rows = lines(*(exchange(number) for number in range(8, 8 + FIRST + LAST + 960)), dropped=7)
    assert rows[1] == "… 7 requests that are not kept"
    assert rows[2].split()[0] == "8"
    assert rows[2 + FIRST] == "… 960 requests"
    assert rows[-1].split()[0] == str(7 + FIRST + LAST + 960)
    assert len(rows) == 1 + 1 + FIRST + 1 + LAST
    assert len(lines(*(exchange(number) for number in range(FIRST + LAST)))) == 1 + FIRST + LAST


def test_without_requests_there_is_no_table() -> None:
    assert lines() == []


@every(
    ("text", "left"),
    [
        (f"Bearer {JWT}", f"Bearer {JWT[:12]}… ({len(JWT)} characters)"),
        (f'{{"signature":"{SIGNATURE}"}}', f'{{"signature":"{SIGNATURE[:12]}… ({len(SIGNATURE)} characters)"}}'),
        ('{"vmId":"96a3ff8e-9d3a-4b0a-8a0e-1c9d3b6a2f11"}', '{"vmId":"96a3ff8e-9d3a-4b0a-8a0e-1c9d3b6a2f11"}'),
        ("/subscriptions/96a3ff8e-9d3a-4b0a-8a0e-1c9d3b6a2f11/resourceGroups/a-group/providers/Microsoft.Compute/x",)
        * 2,
        ("/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F",) * 2,
        ("\N{LATIN SMALL LETTER E WITH ACUTE}" * 80,) * 2,
        ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",) * 2,
    ],
)
def test_tokens_and_signatures_are_cut_and_nothing_else(text: str, left: str) -> None:
    assert shortened(text) == left


def test_a_body_is_readable() -> None:
    assert (
        readable(b"a\x1b[31mb\x00\xff\n\tc", 100)
        == "a\N{REPLACEMENT CHARACTER}[31mb" + "\N{REPLACEMENT CHARACTER}" * 2 + "\n\tc"
    )
    assert readable(b"x y " * 100, 10) == "x y x y x … (390 characters more)"
