"""The time that the simulated host lives in."""

from __future__ import annotations

import time
from math import inf
from typing import Any

from pytest_imds.errors import ImdsUsageError

CENTURY_S = 3_155_760_000
# The beginning of the year 9000: what is valid for years from then on can still be written as a date.
LATEST_S = 221_845_392_000


class Clock:
    """Tells the host's time; everything the service does by time asks here."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def time(self) -> float:
        """Return seconds since the epoch, as :func:`time.time` does, and ahead of it by what was advanced."""
        return time.time() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Move the service's time on; a client's own clock stays where it is.

        Args:
            seconds: how far; 0 or more.

        Raises:
            ImdsUsageError: time does not go backwards, nor further than dates do.
        """
        ahead_s = self._ahead_s + seconds_at_least("advance()", seconds, 0)
        if time.time() + ahead_s > LATEST_S:
            raise ImdsUsageError.wrong_value("advance()", seconds, "seconds that do not lead beyond the year 9000")
        self._ahead_s = ahead_s


def seconds_at_least(what: str, received: Any, least: float) -> float:
    """Return ``received``, a number of seconds.

    Raises:
        ImdsUsageError: it is no number, less than ``least``, or more than a century.
    """
    if isinstance(received, bool) or not isinstance(received, (int, float)) or not least <= received < inf:
        raise ImdsUsageError.wrong_value(what, received, f"seconds, {least} or more")
    if received > CENTURY_S:
        raise ImdsUsageError.wrong_value(what, received, "seconds, no more than a century; not milliseconds")
    return received
