"""The rules about what clients do over time, over entries made by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from pytest_imds.audit.rules import findings
from pytest_imds.traffic.exchange import Exchange
from tests.audited import DOCUMENT, INSTANCE, TOKEN, asked, exchange, in_order
from tests.every import every
from tests.exchanges import BEGAN

EVENTS = "/metadata/scheduledevents?api-version=2020-07-01"
FOR_LONG = 86_399


def told(rule: str, exchanges: Sequence[Exchange]) -> list[tuple[tuple[int, ...], str]]:
    """What the rule finds: the numbers of the requests, and what is wrong."""
    found = findings(exchanges, rules=[rule])
    return [(tuple(request.number for request in finding.requests), finding.told) for finding in found]


def numbers(rule: str, exchanges: Sequence[Exchange]) -> list[tuple[int, ...]]:
    return [found for found, _ in told(rule, exchanges)]


def asks(*moments: float, status: int = 410, then: int | None = None, **of_all: object) -> list[Exchange]:
    """The same request at each of these seconds, refused with ``status``; the last one with ``then``, if it is."""
    exchanges = asked(*moments, status=status, **of_all)
    return exchanges if then is None else [*exchanges[:-1], *asks_once(moments[-1], then, len(moments), **of_all)]


def asks_once(at_s: float, status: int, number: int, **of_all: object) -> list[Exchange]:
    return [exchange(at_s=at_s, status=status, number=number, **of_all)]  # type: ignore[arg-type]


# rate


def test_five_requests_in_a_second_are_answered_and_six_are_too_many() -> None:
    assert told("rate", asked(0, 0.1, 0.2, 0.3, 0.4, 1.0, 1.1)) == []
    assert told("rate", asked(5, 5.1, 5.2, 5.3, 5.4, 5.999)) == [
        ((1, 2, 3, 4, 5, 6), "as many as 6 in a second; 5 are answered")
    ]


def test_managed_identity_is_counted_apart() -> None:
    tokens, others = asked(*[0.0] * 20, target=TOKEN), asked(*[0.0] * 5)

    assert told("rate", in_order(*tokens, *others)) == []
    assert told("rate", asked(*[0.0] * 21, target=TOKEN)) == [
        (tuple(range(1, 22)), "as many as 21 in a second; 20 are answered of managed identity")
    ]


def test_more_than_five_requests_to_managed_identity_at_once_are_too_many() -> None:
    crowd = in_order(*(exchange(TOKEN, at_once=at_once) for at_once in range(1, 8)))

    assert told("rate", crowd) == [((6, 7), "as many as 7 at once; 5 are answered of managed identity")]


def test_each_time_with_too_many_is_found_by_itself() -> None:
    assert numbers("rate", asked(*[0.0] * 6, 10, *[20.0] * 7)) == [tuple(range(1, 7)), tuple(range(8, 15))]


@given(st.lists(st.integers(0, 700), max_size=40))
def test_too_many_are_found_if_and_only_if_any_second_has_them(gaps_ms: list[int]) -> None:
    moments = [moment / 1000 for moment in accumulate(gaps_ms)]
    within = [[other for other in moments if moment - 1 < other <= moment] for moment in moments]
    too_many = {moment for window in within if len(window) > 5 for moment in window}

    found = findings(asked(*moments), rules=["rate"])
    assert {request.at_s for finding in found for request in finding.requests} == too_many


# wait-before-retry


@every(
    ("exchanges", "found"),
    [
        (asks(0, 0, then=200), []),  # the documentation's first attempt comes at once
        (asks(0, 0, 0.5, then=200), [((3,), "0.5 s after the reply 410; the least is 1 s")]),
        (asks(0, 0, 1, 2, then=200), []),
        (asks(0, 0.99, then=200, status=500), []),
        (asks(0, 0, then=200, status=503), [((2,), "0.0 s after the reply 503; the least is 1 s")]),
        (asks(0, 0, 0.2, 0.3, status=429), [((3, 4), "0.1 s after the reply 429; the least is 1 s")]),
        (asks(0, 0.2, 0.4, status=404, target=TOKEN), [((3,), "0.2 s after the reply 404; the least is 1 s")]),
        (asks(0, 0.2, 0.4, status=404), []),  # a 404 of other endpoints may be for ever
        (asks(0, 0.2, 0.4, status=400), []),
        (asks(0, 9, status=429, reply_headers={"retry-after": "10"}), [((2,), "9.0 s after *; the least is 10 s")]),
        (asks(0, 10, 20, status=429, reply_headers={"retry-after": "10"}), []),
        (asks(0, 0, 0, status=429, reply_headers={"retry-after": "0"}), []),
        (asks(0, 0, status=429, reply_headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), []),
        # The wait begins when the reply has left.
        (asks(0, 1, status=500, duration_s=0.9), [((2,), "0.1 s after the reply 500; the least is 1 s")]),
        # Two clients at once.
        (asks(0, 0.2, 0.4, status=500, duration_s=0.9), []),
    ],
)
def test_wait_before_retry(exchanges: list[Exchange], found: list[tuple[tuple[int, ...], str]]) -> None:
    got = told("wait-before-retry", exchanges)

    assert [one for one, _ in got] == [one for one, _ in found]
    for (_, says), (_, expected) in zip(got, found, strict=True):
        begin, _, end = expected.partition("*")
        assert says.startswith(begin)
        assert says.endswith(end)


def test_after_no_reply_nobody_knows_for_how_long_the_client_has_waited() -> None:
    cut = in_order(exchange(status=None), exchange(status=None), exchange())

    assert told("wait-before-retry", cut) == []


def test_clients_with_names_of_their_own_are_told_apart() -> None:
    def at(at_s: float, agent: str) -> Exchange:
        return exchange(at_s=at_s, status=410, headers={"metadata": "true", "user-agent": agent})

    both = in_order(at(0, "a"), at(0.1, "b"), at(0.2, "a"), at(0.3, "b"), at(10, "a"), at(10.1, "b"))

    assert told("wait-before-retry", both) == []


# back-off


@every(
    ("exchanges", "found"),
    [
        (asks(0, 5, 10, 15, status=429), [(2, 3, 4)]),
        (asks(0, 0, 5, 10, 15, status=500), [(3, 4, 5)]),
        (asks(0, 0.01, 0.03, 0.04, 0.05, status=500), [(3, 4, 5)]),
        (asks(0, 5, 10, 15, 20, status=404, target=TOKEN), [(2, 3, 4, 5)]),
        (asks(0, 5, 10, status=429), []),
        (asks(0, 1, 3, 7, status=429), []),
        (asks(0, 0, 2, 8, 22, 52, status=500), []),
        (asks(0, 4, 7, 12, status=429), []),  # chance may be in it
        (asks(0, 60, 120, 180, status=500), []),  # the longest that is recommended
        (asks(*range(0, 80, 10)), []),  # MSAL, after 410
        (asks(0, 5, 10, 15, status=500, target=EVENTS), []),
        (asks(0, 5, 10, 15, status=429, reply_headers={"retry-after": "5"}), []),
    ],
)
def test_back_off(exchanges: list[Exchange], found: list[tuple[int, ...]]) -> None:
    assert numbers("back-off", exchanges) == found


# keep-trying


@every(
    ("exchanges", "says"),
    [
        (asks(0), "asked once, and not again after the last reply, 410"),
        (asks(0, 1, 3, 7), "asked 4 times in 7 s, and not again after the last reply, 410"),
        (asks(*range(0, 70, 5)), "asked 14 times in 65 s, and not again after the last reply, 410"),
        (asks(0, 1, 3, status=503), "asked 3 times in 3 s, and not again after the last reply, 503"),
        (asks(0, status=429), "asked once, and not again after the last reply, 429"),
        (asks(0, 0, 2, 8, 22, status=429), "asked 5 times in 22 s, and not again after the last reply, 429"),
        (asks(0, 0, 5, 15, 35, 75), None),  # azure-identity
        (asks(*range(0, 80, 10)), None),  # MSAL
        (asks(0, 0, 2, 8, 22, 52, status=429), None),
        (asks(0, 70, status=500), None),
        (asks(0, 1, then=200), None),
        (asks(0, 1, then=400), None),
        (asks(0, status=404, target=TOKEN), None),  # as it is where there is no such endpoint
        (asks(0, status=400), None),
        (asks(0, headers={}), None),
    ],
)
def test_keep_trying(exchanges: list[Exchange], says: str | None) -> None:
    assert told("keep-trying", exchanges) == ([] if says is None else [((len(exchanges),), says)])


def test_a_request_that_is_not_answered_yet_was_not_given_up() -> None:
    assert told("keep-trying", in_order(exchange(status=410), exchange(status=None, at_s=1))) == []


def test_another_api_version_is_another_attempt() -> None:
    older = exchange("/metadata/instance?api-version=2019-06-01", at_s=2)

    assert told("keep-trying", in_order(exchange(status=410), older)) == []
    assert len(told("keep-trying", in_order(exchange(status=410), exchange(DOCUMENT, at_s=2)))) == 1


# no-retry


@every(
    ("exchanges", "found"),
    [
        (asks(0, 0, status=400), []),
        (asks(0, 1, 3, status=400), [(1, 2, 3)]),
        (asks(0, 69, 138, 200, status=405), [(1, 2, 3, 4)]),
        (asks(0, 71, 142, status=400), []),
        (asks(0, 1, 2, 3, then=200, status=400), []),  # it was of use
        (asks(0, 1, 2, 3, status=404), []),
        (asks(0, 1, 2, 3, status=410), []),
        (asks(0, 1, 2, 3, status=500), []),
        (in_order(*asks(0, 1, status=400), *asks(2, 3, status=405)), []),
        (in_order(*asks(0, 1, status=400), *asks(2, 3, status=400, target=DOCUMENT)), []),
    ],
)
def test_no_retry(exchanges: list[Exchange], found: list[tuple[int, ...]]) -> None:
    assert numbers("no-retry", exchanges) == found


# nonce


def test_nonce() -> None:
    none, one, two = exchange(DOCUMENT), exchange(f"{DOCUMENT}&nonce=1"), exchange(f"{DOCUMENT}&nonce=2")
    failed = exchange(f"{DOCUMENT}&nonce=3", 500)
    broken = exchange(f"{DOCUMENT}&nonce=4", faults=("truncated",))

    assert told("nonce", in_order(one, two, one, none)) == [
        ((3,), "the nonce of request 1 once more"),
        ((4,), "no nonce"),
    ]
    assert told("nonce", in_order(failed, failed, broken, broken, exchange())) == []


# cache-tokens


def token(at_s: float, good_for_s: object = FOR_LONG, target: str = TOKEN, **others: object) -> Exchange:
    until = int(BEGAN.timestamp() + at_s + good_for_s) if isinstance(good_for_s, int) else good_for_s
    reply = json.dumps({"access_token": "a", "expires_on": str(until)}).encode()
    return exchange(target, at_s=at_s, reply=reply, **others)  # type: ignore[arg-type]


@every(
    ("exchanges", "found"),
    [
        ([token(0), token(1)], [(2,)]),
        ([token(0), token(1), token(2)], [(2,), (3,)]),
        ([token(0), token(FOR_LONG // 2 - 1)], [(2,)]),
        ([token(0), token(FOR_LONG // 2 + 1)], []),
        ([token(0, 600), token(301, 86_400)], []),
        ([token(0), token(1, target=f"{TOKEN}/other")], []),
        ([token(0), token(1, target=f"{TOKEN}&client_id=1")], []),
        ([token(0), token(1, target=f"{TOKEN}&bypass_cache=true")], []),
        ([token(0, target=f"{TOKEN}&bypass_cache=true"), token(1, target=f"{TOKEN}&bypass_cache=true")], []),
        ([token(0, duration_s=2.0), token(1, duration_s=2.0)], []),  # before the first was there
        ([token(0, faults=("truncated",)), token(1)], []),
        ([token(0, "soon"), token(1)], []),
        ([exchange(TOKEN, 500), token(1)], []),
        ([exchange(TOKEN, reply=b"[]"), token(1)], []),
        ([exchange(), exchange(at_s=1)], []),
    ],
)
def test_cache_tokens(exchanges: list[Exchange], found: list[tuple[int, ...]]) -> None:
    assert numbers("cache-tokens", in_order(*exchanges)) == found


def test_it_is_said_how_long_a_token_was_still_good() -> None:
    ((_, says),) = told("cache-tokens", in_order(token(0, 100), token(20)))

    assert says == "the token of request 1 was good for another 80 s"


def test_what_others_are_asked_breaks_no_rule() -> None:
    elsewhere = asked(*[0.0] * 30, target="/v1/token", status=500, headers={})

    assert list(findings(elsewhere)) == []
    assert list(findings(asked(0, target=INSTANCE))) == []
