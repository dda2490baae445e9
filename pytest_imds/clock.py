"""The time that the simulated host lives in."""

from __future__ import annotations

import time
from datetime import datetime, timezone


class Clock:
    """Tells the host's time; everything the service does by time asks here."""

    def time(self) -> float:
        """Return seconds since the epoch, as :func:`time.time` does."""
        return time.time()

    @property
    def now(self) -> datetime:
        """The present moment, an aware datetime in UTC."""
        return datetime.fromtimestamp(self.time(), tz=timezone.utc)
