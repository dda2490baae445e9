"""What a test asserts of the requests that have arrived, and why a request does not meet it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from typing import Any

from pytest_imds.errors import ImdsUsageError
from pytest_imds.traffic.exchange import Exchange

# How many of the nearest requests a failure shows.
SHOWN = 5

Verdict = tuple[bool, str]


@dataclass(frozen=True)
class Wanted:
    """Which requests are meant.

    Args:
        path: a glob of paths, such as ``/metadata/instance*``.
        query: parameters and the values that they must have; None is that the parameter must not be there.
        since: requests that arrived earlier are not meant.

    Raises:
        ImdsUsageError: one of them is no such thing.
    """

    path: str
    query: Mapping[str, str | None] = field(default_factory=dict)
    since: datetime | None = None

    def __post_init__(self) -> None:
        path: Any = self.path
        if not isinstance(path, str) or path[:1] not in ("/", "*"):
            raise ImdsUsageError.wrong_value("path", path, "a glob of paths, such as /metadata/instance*")
        if "?" in path:
            right = 'the path alone, and query={"api-version": "2021-02-01"} for the rest'
            raise ImdsUsageError.wrong_value("path", path, right)
        query: Any = self.query
        if not isinstance(query, Mapping) or not all(_is_parameter(one) for one in query.items()):
            right = 'a mapping of texts to texts or None, such as {"api-version": "2021-02-01"}'
            raise ImdsUsageError.wrong_value("query", query, right)
        since: Any = self.since
        if since is not None and (not isinstance(since, datetime) or since.tzinfo is None):
            raise ImdsUsageError.wrong_value(
                "since", since, "a datetime with a time zone, such as imds_server.clock.now"
            )

    def __str__(self) -> str:
        told = [f" with {name}={value}" if value is not None else f" without {name}" for name, value in
                self.query.items()]  # fmt: skip
        since = "" if self.since is None else f" since {self.since:%H:%M:%S.%f}"
        return f"{self.path}{''.join(told)}{since}"

    def verdicts(self, exchange: Exchange) -> dict[str, Verdict]:
        """Return, by condition, whether a request meets it, and why it does not."""
        asked = exchange.asked.place
        verdicts = {"path": (fnmatchcase(asked, self.path), f"{asked} is not {self.path}")}
        for name, value in self.query.items():
            verdicts[name] = _has(exchange.query, name, value)
        if self.since is not None:
            early = (self.since - exchange.time).total_seconds()
            verdicts["since"] = (early <= 0, f"it came {early:.3f} s before")
        return verdicts

    def meets(self, exchange: Exchange) -> bool:
        """Return whether a request is meant."""
        return all(met for met, _ in self.verdicts(exchange).values())

    def nearest(self, exchanges: Sequence[Exchange]) -> list[Exchange]:
        """Return the requests that come nearest, in the order in which they arrived."""
        return sorted(sorted(exchanges, key=self._distance)[:SHOWN], key=lambda exchange: exchange.number)

    def _distance(self, exchange: Exchange) -> tuple[int, float, int]:
        unmet = sum(not met for met, _ in self.verdicts(exchange).values())
        alike = SequenceMatcher(None, exchange.asked.place, self.path).ratio()
        return unmet, -alike, -exchange.number


def mismatch(wanted: Wanted, times: int | None, exchanges: Sequence[Exchange], dropped: int) -> str | None:
    """Return why not ``times`` of the requests are meant; None if they are.

    Args:
        wanted: which are meant.
        times: how many of them there have to be; None is one or more.
        exchanges: those that are there.
        dropped: how many more there were that nobody knows any more.

    Raises:
        ImdsUsageError: ``times`` is no number of times.
    """
    count: Any = times
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 0):
        raise ImdsUsageError.wrong_value(
            "times", times, "how many requests there have to be: a whole number, 0 or more"
        )
    met = sum(wanted.meets(exchange) for exchange in exchanges)
    if dropped and wanted.since is not None and exchanges and exchanges[0].time < wanted.since:
        dropped = 0  # those that are missing are not meant
    if met and times is None:
        return None
    if met == times and not dropped:
        return None
    expected = "once or more" if times is None else _times(times)
    lines = [f"{wanted} was requested {_times(met)}, expected {expected}"]
    if dropped:
        lines.append(
            f"  {dropped} earlier requests are not kept, so nobody knows what they were; since= leaves them out"
        )
    if exchanges:
        lines.append(f"  nearest of {len(exchanges)} {'request' if len(exchanges) == 1 else 'requests'}:")
    else:
        lines.append("  no request has arrived")
    for exchange in wanted.nearest(exchanges):
        lines += _told(wanted, exchange)
    return "\n".join(lines)


def _told(wanted: Wanted, exchange: Exchange) -> list[str]:
    unmet = [f"      {what}: {why}" for what, (met, why) in wanted.verdicts(exchange).items() if not met]
    status = exchange.status or "no reply"
    return [
        f"    #{exchange.number} {exchange.line} at {exchange.at_s:.3f} s: {status}",
        *(unmet or ["      it is one"]),
    ]


def _has(query: Mapping[str, str], name: str, value: str | None) -> Verdict:
    received = query.get(name)
    if value is None:
        return received is None, f"it has {name}={received}"
    return received == value, "it is missing" if received is None else f"{received} is not {value}"


def _is_parameter(pair: tuple[Any, Any]) -> bool:
    name, value = pair
    return isinstance(name, str) and (value is None or isinstance(value, str))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
