"""The time that the simulated host lives in."""

from __future__ import annotations

import time


class Clock:
    """Tells the host's time; everything the service does by time asks here."""

    def time(self) -> float:
        """Return seconds since the epoch, as :func:`time.time` does."""
        return time.time()
