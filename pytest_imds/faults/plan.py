"""One fault that a test has planned: which requests it breaks, and which it has broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from random import Random
from typing import Any

from pytest_imds.clock import seconds_at_least
from pytest_imds.errors import ImdsUsageError
from pytest_imds.faults.effects import Effect
from pytest_imds.service.message import Request

# How long one who has just been counted may take to find the door shut.
ON_THE_WAY_S = 0.25


@dataclass(frozen=True)
class Terms:
    """Which requests a fault breaks; see ``When``."""

    path: str | None = None
    after: int = 0
    times: int | None = None
    window: float | None = None
    probability: float = 1.0
    required: bool = True

    @classmethod
    def of(cls, when: Mapping[str, Any]) -> Terms:
        """Return the terms that a test gave.

        Raises:
            ImdsUsageError: one of them has a value that it cannot have.
        """
        terms = cls(**{given: value for given, value in when.items() if value is not None})
        terms._check()
        return terms

    def match(self, request: Request) -> bool:
        """Return whether the path of ``request`` is meant."""
        if self.path is None:
            return f"{request.place}/".startswith("/metadata/")
        return fnmatchcase(request.place, self.path)

    def _check(self) -> None:
        path: Any = self.path
        if path is not None and (not isinstance(path, str) or path[:1] not in ("/", "*")):
            raise ImdsUsageError.wrong_value("path", path, "a glob of paths, such as /metadata/instance*")
        counts: tuple[tuple[str, Any, int], ...] = (("after", self.after, 0), ("times", self.times, 1))
        for what, count, least in counts:
            if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < least):
                raise ImdsUsageError.wrong_value(what, count, f"a whole number, {least} or more")
        if self.window is not None and seconds_at_least("window", self.window, 0) == 0:
            raise ImdsUsageError.wrong_value("window", self.window, "seconds, more than 0")
        likely: Any = self.probability
        if not isinstance(likely, (int, float)) or isinstance(likely, bool) or not 0 < likely <= 1:
            raise ImdsUsageError.wrong_value("probability", likely, "a number above 0, up to 1")
        if not isinstance(self.required, bool):
            raise ImdsUsageError.wrong_value("required", self.required, "True or False")


class Plan:
    """A fault, and how far it is.

    Args:
        name: what it is called.
        effect: what it does.
        terms: which requests it breaks.
        told: how it is written.
        random: its chance.

    Attributes:
        hits: how many requests it has broken.
        cleared: when the test ended it; None if it has not.
    """

    def __init__(self, name: str, effect: Effect, terms: Terms, told: str, random: Random) -> None:
        self.name = name
        self.effect = effect
        self.terms = terms
        self.told = told
        self.random = random
        self.hits = 0
        self._seen = 0
        self._begun: float | None = None
        self._opened: float | None = None
        self._last = 0.0
        self.cleared: float | None = None

    @property
    def ends(self) -> bool:
        """Whether there is an end to it."""
        return self.terms.times is not None or self.terms.window is not None

    @property
    def span(self) -> tuple[float | None, float | None]:
        """When it began to break requests, and when it is over, as far as that is known."""
        if self._opened is None:
            return None, self.cleared
        window = self.terms.window
        ends = (
            None if window is None else self._opened + window,
            self._last if self._used_up else None,
            self.cleared,
        )
        return self._opened, min((end for end in ends if end is not None), default=None)

    @property
    def let_through(self) -> bool:
        """Whether it has let through what it lets through first."""
        return self._seen >= self.terms.after

    def over(self, now: float) -> bool:
        """Return whether it breaks no more."""
        return self._used_up or self._closed(now)

    def expected(self, now: float) -> bool:
        """Return whether somebody may still be on the way to find a door shut that is over."""
        if self._opened is None:
            return False
        return not self._closed(now) and (not self._used_up or now < self._last + ON_THE_WAY_S)

    def breaks(self, request: Request, now: float) -> bool:
        """Return whether it breaks ``request``, and count it."""
        if self.over(now) or not self.terms.match(request):
            return False
        self.effect.notice(request, now)
        if not self.let_through:
            self._seen += 1
            return False
        self._begun = now if self._begun is None else self._begun
        if not self.effect.at(now - self._begun):
            return False
        if self.terms.probability < 1 and self.random.random() >= self.terms.probability:
            return False
        self.hit(now)
        return True

    def open(self, now: float) -> None:
        """Begin its window, unless it has begun."""
        self._opened = now if self._opened is None else self._opened

    def hit(self, now: float) -> None:
        """Count one more that it has broken."""
        self.open(now)
        self._last = now
        self.hits += 1

    @property
    def _used_up(self) -> bool:
        return self.terms.times is not None and self.hits >= self.terms.times

    def _closed(self, now: float) -> bool:
        window = self.terms.window
        return window is not None and self._opened is not None and now >= self._opened + window
