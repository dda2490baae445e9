"""What the page shows of one test: its servers, what was asked of them, the faults at work, the time that was skipped.

A story is JSON of this shape; times are seconds of the test's clock since the test began:

- ``again``: the command that runs the test again;
- ``servers``: a list, in the order in which they were started, of

  - ``vm``, its name; ``profile``; ``seed``; ``url``;
  - ``began``: when the test began, in seconds since the epoch; ``duration``: how long it took;
  - ``exchanges``: the last requests, of each ``n``, its number; ``at``; ``took``, null if no reply has left;
    ``method``, empty for what is no HTTP request; ``target``; ``status`` or null; ``bytes``, how long the body of the
    reply is; ``faults``, a list of names;
  - ``dropped``: how many requests came before those;
  - ``windows``: of each fault ``told``, as it is written; ``begin``, null if it never began; ``end``, null if it is not
    over; ``hits``, how many requests it has broken;
  - ``jumps``: pairs, when time was skipped and how much;
  - ``findings``: a list of sentences, one for each rule for callers that clients broke, whether it was judged or not.

The rest is shown of one exchange at a time, and kept apart: for each server a list, for each exchange ``peer``;
``proxied``; ``sent`` and ``got``, the headers as pairs; ``body`` and ``reply``, the bodies as text.
"""

from __future__ import annotations

import json
from base64 import b64encode
from codecs import getincrementaldecoder
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from zlib import compress

from pytest_imds.audit.finding import Finding
from pytest_imds.audit.rules import findings
from pytest_imds.server import ImdsServer
from pytest_imds.traffic.exchange import Exchange
from pytest_imds.traffic.shortened import readable, shortened

# How many exchanges of a server are shown, and how much of a body: characters of a text, bytes of anything else.
SHOWN_EXCHANGES = 200
SHOWN_CHARACTERS = 2000
SHOWN_BYTES = 32
# How many requests a finding names.
NAMED_REQUESTS = 5
APART = ("peer", "proxied", "sent", "got", "body", "reply")


class Story(NamedTuple):
    """What the page shows of a test.

    Attributes:
        shown: JSON, all but what is kept apart.
        apart: what is kept apart: JSON, deflated, in base64. It is nine tenths of what there is to say.
    """

    shown: str
    apart: str


def story(servers: Sequence[ImdsServer], again: str) -> Story:
    """Return the story of a test that has ended.

    Args:
        servers: its servers, in the order in which they were started.
        again: the command that runs it again.
    """
    return written([_server(server) for server in servers], again)


def written(servers: Sequence[Mapping[str, Any]], again: str) -> Story:
    """Return a story of servers whose exchanges have all their members together."""
    shown = [{**server, "exchanges": [_part(one, apart=False) for one in server["exchanges"]]} for server in servers]
    apart = [[_part(one, apart=True) for one in server["exchanges"]] for server in servers]
    return Story(_json({"again": again, "servers": shown}), b64encode(compress(_json(apart).encode())).decode())


def _part(exchange: Mapping[str, Any], *, apart: bool) -> dict[str, Any]:
    return {name: value for name, value in exchange.items() if (name in APART) == apart}


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _server(server: ImdsServer) -> dict[str, Any]:
    arrived, clock = server.requests, server.clock
    shown = arrived[-SHOWN_EXCHANGES:]
    return {
        # A test may assign to them what it likes.
        "vm": str(server.vm.name),
        "profile": str(server.vm.profile),
        "seed": str(server.vm.seed),
        "url": server.url,
        "began": clock.began,
        "duration": _seconds(clock.time() - clock.began),
        "exchanges": [_exchange(exchange) for exchange in shown],
        "dropped": server.record.dropped + len(arrived) - len(shown),
        "windows": [
            {
                "told": window.fault,
                "begin": _seconds(window.begin_s),
                "end": _seconds(window.end_s),
                "hits": window.hits,
            }
            for window in server.faults.windows()
        ],
        "jumps": [(_seconds(jump.at_s), _seconds(jump.seconds)) for jump in clock.jumps],
        "findings": [_told(finding) for finding in findings(arrived, server.newest)],
    }


def _exchange(exchange: Exchange) -> dict[str, Any]:
    return {
        "n": exchange.number,
        "at": _seconds(exchange.at_s),
        "took": _seconds(exchange.duration_s),
        "method": exchange.method,
        "target": exchange.target,
        "status": exchange.status,
        "bytes": exchange.bytes_sent,
        "faults": exchange.faults,
        "peer": ":".join(map(str, exchange.peer)),
        "proxied": exchange.proxied,
        "sent": _headers(exchange.headers),
        "got": _headers(exchange.reply_headers),
        "body": _text(exchange.body),
        "reply": _text(exchange.reply),
    }


def _told(finding: Finding) -> str:
    numbers = [str(request.number) for request in finding.requests[:NAMED_REQUESTS]]
    more = len(finding.requests) - len(numbers)
    requests = f"request{'s' * (len(finding.requests) > 1)} {', '.join(numbers)}{f' and {more} more' if more else ''}"
    return f"{finding.rule}: {finding.told} ({requests})"


def _seconds(exact: float | None) -> float | None:
    """Return it without the digits that nobody sees."""
    return None if exact is None else round(exact, 5)


def _headers(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, shortened(value)) for name, value in headers.items()]


def _text(body: bytes) -> str:
    try:
        getincrementaldecoder("utf-8")().decode(body)  # the record may have cut it within a character
    except UnicodeDecodeError:
        return f"{len(body):,} bytes that are no text: {body[:SHOWN_BYTES].hex(' ')}{'…' * (len(body) > SHOWN_BYTES)}"
    return readable(body, SHOWN_CHARACTERS)
