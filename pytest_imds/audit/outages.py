"""What a client does while the service has no answer for it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pytest_imds import data
from pytest_imds.audit.places import endpoint, has_header, is_for_identity
from pytest_imds.traffic.exchange import Exchange

# How much sooner than it was sent a request may seem to come after a reply: both are noted a moment before they leave.
NOTED_S = 0.001


class Attempt(NamedTuple):
    """A request that repeats one which had no success, and how long after that one's reply it came."""

    before: Exchange
    request: Exchange
    waited_s: float


class Outage(NamedTuple):
    """Equal requests, one after another, that had no success.

    Attributes:
        failed: these requests.
        then: the same request with another reply, or None if there was none.
    """

    failed: tuple[Exchange, ...]
    then: Exchange | None

    @property
    def attempts(self) -> list[Attempt]:
        """The requests after the first; none if one came before the reply to another, which is no repetition."""
        asked = (*self.failed, self.then) if self.then else self.failed
        repeated = [
            Attempt(before, request, request.at_s - before.at_s - (before.duration_s or 0.0))
            for before, request in pairwise(asked)
        ]
        return [] if any(attempt.waited_s < -NOTED_S for attempt in repeated) else repeated


def outages(requests: Sequence[Exchange]) -> Iterator[Outage]:
    """Find the outages among the requests of a test, each client's by itself as far as that can be seen."""
    under_way: dict[Hashable, list[Exchange]] = {}
    for request in requests:
        if not has_header(request):  # it would not have been answered anyway
            continue
        key = _key(request)
        if request.status is None or may_pass(request):
            under_way.setdefault(key, []).append(request)
        elif key in under_way:
            yield Outage(tuple(under_way.pop(key)), request)
    for failed in under_way.values():
        yield Outage(tuple(failed), None)


def may_pass(request: Exchange) -> bool:
    """Return whether a request was refused with what passes by itself.

    Source: ``wait-before-retry`` in ``fixtures_data/rules.json``.
    """
    known: dict[str, Any] = data.read("rules")["wait-before-retry"]
    status = request.status or 0
    return status >= 500 or status in known["after"] or (is_for_identity(request) and status in known["after_identity"])


def asker(request: Exchange) -> tuple[Hashable, ...]:
    """Return what tells clients apart that ask the same: what they call themselves."""
    return (request.headers.get("user-agent"), request.method, request.body)


def _key(request: Exchange) -> Hashable:
    """Return what equal requests share: a client may fall back to another api-version in between."""
    found = endpoint(request)
    version = found.version_parameter if found else None
    return (*asker(request), request.asked.place, tuple(pair for pair in request.asked.pairs if pair[0] != version))
