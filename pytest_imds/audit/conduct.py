"""The rules about what clients do over time: how often they ask, and what they make of an answer.

They take and yield what those of ``form`` do; seconds are those of the test's clock.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pytest_imds import data
from pytest_imds.audit.finding import Breach
from pytest_imds.audit.outages import Attempt, Outage, asker, outages
from pytest_imds.audit.places import endpoint, is_for_identity
from pytest_imds.traffic.exchange import Exchange

# How much less than it should a client may wait: clocks are no more exact than that.
TOLERANCE_S = 0.05
# What is shorter counts as this long when waits are compared: the machine takes as long to send a request.
NO_WAIT_S = 0.1


def _row(rule: str) -> Mapping[str, Any]:
    row: Mapping[str, Any] = data.read("rules")[rule]
    return row


def rate(requests: Sequence[Exchange], newest: str | None) -> Iterator[Breach]:
    """Find more requests in a second, or more at once, than the service answers."""
    limits, within_s = data.read("behaviour")["rate-limits"], _row("rate")["within_s"]
    for of_identity, limit in ((False, limits["other_per_s"]), (True, limits["identity_per_s"])):
        mine = [request for request in requests if is_for_identity(request) is of_identity]
        for burst, most in _bursts(mine, limit, within_s):
            of = " of managed identity" if of_identity else ""
            yield Breach(burst, f"as many as {most} in a second; {limit} are answered{of}")
    limit = limits["identity_at_once"]
    if crowd := tuple(request for request in requests if request.asked.at_once > limit):
        most = max(request.asked.at_once for request in crowd)
        yield Breach(crowd, f"as many as {most} at once; {limit} are answered of managed identity")


def _bursts(requests: Sequence[Exchange], limit: int, within_s: float) -> Iterator[tuple[tuple[Exchange, ...], int]]:
    """Yield the requests of each time with more than ``limit`` in every ``within_s``, and how many at the most."""
    last: deque[Exchange] = deque()
    burst: list[Exchange] = []
    most = 0
    for request in requests:
        last.append(request)
        while last[0].at_s <= request.at_s - within_s:
            last.popleft()
        if len(last) > limit:
            burst += last if not burst else [request]
            most = max(most, len(last))
        elif burst:
            yield tuple(burst), most
            burst, most = [], 0
    if burst:
        yield tuple(burst), most


def wait_before_retry(requests: Sequence[Exchange], newest: str | None) -> Iterator[Breach]:
    """Find attempts that came too soon after a reply."""
    for outage in outages(requests):
        answered = [attempt for attempt in outage.attempts if attempt.before.status is not None]
        soon = [
            (attempt, least)
            for attempt, least in ((one, _least_s(one, one.before is outage.failed[0])) for one in answered)
            if attempt.waited_s < least - TOLERANCE_S
        ]
        if soon:
            worst, least = min(soon, key=lambda one: one[0].waited_s - one[1])
            told = f"{worst.waited_s:.1f} s after the reply {worst.before.status}; the least is {least:g} s"
            yield Breach(tuple(attempt.request for attempt, _ in soon), told)


def _told_to_wait_s(reply: Exchange) -> int | None:
    said = reply.reply_headers.get("retry-after", "")
    return int(said) if said.isascii() and said.isdecimal() else None


def _least_s(attempt: Attempt, first: bool) -> float:
    told = _told_to_wait_s(attempt.before)
    if told is not None:
        return told
    at_once = first and (attempt.before.status or 0) < 500
    return 0.0 if at_once else float(_row("wait-before-retry")["wait_s"])


def back_off(requests: Sequence[Exchange], newest: str | None) -> Iterator[Breach]:
    """Find attempts after equal waits."""
    known = _row("back-off")
    for outage in outages(requests):
        asked = endpoint(outage.failed[0])
        statuses = {request.status for request in outage.failed}
        told = any(_told_to_wait_s(request) is not None for request in outage.failed)
        if told or statuses & {None, *known["equal_after"]} or (asked and asked.path in known["polled"]):
            continue
        attempts = outage.attempts
        if attempts and attempts[0].waited_s < NO_WAIT_S:  # the first may come at once
            attempts = attempts[1:]
        waits = [max(attempt.waited_s, NO_WAIT_S) for attempt in attempts]
        if len(waits) >= known["waits"] and max(waits) < min(known["growth"] * min(waits), known["longest_s"]):
            told_so = f"{len(waits)} attempts after equal waits of about {min(waits):.1f} s"
            yield Breach(tuple(attempt.request for attempt in attempts), told_so)


def keep_trying(requests: Sequence[Exchange], newest: str | None) -> Iterator[Breach]:
    """Find requests that failed with what passes, and were not repeated for long enough."""
    known = _row("keep-trying")
    for outage in outages(requests):
        last = outage.failed[-1]
        # Nobody has to go on after 404: it is also what is said of what will never be there.
        if outage.then is not None or last.status is None or last.status == 404:
            continue
        tried_s = last.at_s - outage.failed[0].at_s
        enough = len(outage.failed) > known["attempts"] and last.status not in known["until_passed"]
        if not enough and tried_s < known["patience_s"] - TOLERANCE_S:
            yield Breach((last,), _gave_up(outage, tried_s))


def _gave_up(outage: Outage, tried_s: float) -> str:
    times = len(outage.failed)
    how_often = "asked once" if times == 1 else f"asked {times} times in {tried_s:.0f} s"
    return f"{how_often}, and not again after the last reply, {outage.failed[-1].status}"


def no_retry(requests: Sequence[Exchange], newest: str | None) -> Iterator[Breach]:
    """Find requests that were sent again and again, and refused each time for what they ask."""
    known = _row("no-retry")
    refused: dict[Hashable, list[Exchange]] = {}
    for request in requests:
        asked = (*asker(request), request.asked.target)
        before = refused.setdefault(asked, [])
        status = request.status or 0
        if not 400 <= status < 500 or status in known["may_pass"]:
            before.clear()  # it was of use, or it is not known whether it was
            continue
        if before and (before[-1].status != status or request.at_s - before[-1].at_s > known["within_s"]):
            before.clear()
        before.append(request)
    for same in refused.values():
        if len(same) >= known["times"]:
            yield Breach(tuple(same), f"{len(same)} times the same, refused with {same[0].status} each time")


def nonce(requests: Sequence[Exchange], newest: str | None) -> Iterator[Breach]:
    """Find attested documents without a nonce, or with one that another has."""
    used: dict[str, Exchange] = {}
    for request in requests:
        asked = endpoint(request)
        if asked is None or asked.path != "attested/document":
            continue
        named = request.query.get("nonce")
        if named is None:
            yield Breach((request,), "no nonce")
            continue
        if (before := used.get(named)) is not None:
            yield Breach((request,), f"the nonce of request {before.number} once more")
        if _arrived_whole(request):
            used[named] = request


def cache_tokens(requests: Sequence[Exchange], newest: str | None) -> Iterator[Breach]:
    """Find tokens that were asked for although the client had one with most of its life before it."""
    left = _row("cache-tokens")["left"]
    tokens: dict[Hashable, tuple[Exchange, float]] = {}
    for request in requests:
        asked = endpoint(request)
        if asked is None or asked.path != "identity/oauth2/token" or "bypass_cache" in request.query:
            continue
        same = (*asker(request), frozenset(request.asked.pairs))
        had = tokens.get(same)
        if had is not None and request.at_s >= _ended_s(had[0]):
            before, good_s = had
            left_s = good_s - (request.at_s - before.at_s)
            if left_s > left * good_s:
                yield Breach((request,), f"the token of request {before.number} was good for another {left_s:.0f} s")
        good_for = _good_for_s(request)
        if good_for is not None:
            tokens[same] = (request, good_for)


def _arrived_whole(request: Exchange) -> bool:
    """Return whether the client has got the answer, as far as the record knows."""
    return request.status == 200 and not request.faults


def _ended_s(request: Exchange) -> float:
    return request.at_s + (request.duration_s or 0.0)


def _good_for_s(request: Exchange) -> float | None:
    """Return how long the token in a reply is good for, in seconds after the request; None if there is none."""
    if _arrived_whole(request):
        with suppress(ValueError, TypeError, KeyError):  # a handler of the test may have answered anything
            return float(json.loads(request.reply)["expires_on"]) - request.time.timestamp()
    return None
