"""How many requests the service answers before it refuses the rest with 429."""

from __future__ import annotations

from collections import deque
from contextlib import AbstractContextManager
from typing import Any

from pytest_imds import data

WINDOW_S = 1.0


class Limits:
    """Counts the requests of the last second.

    Args:
        lock: held while requests are counted.

    Source: ``rate-limits`` in ``fixtures_data/behaviour.json``.
    """

    def __init__(self, lock: AbstractContextManager[Any]) -> None:
        self._lock = lock
        self._admitted: dict[bool, deque[float]] = {True: deque(), False: deque()}

    def admits(self, path: str, at_once: int, now: float) -> bool:
        """Return whether a request to ``path`` (below ``/metadata``) is answered; one that is not counts for nothing.

        Args:
            path: such as ``identity/oauth2/token``.
            at_once: how many requests to managed identity are being answered, this one among them.
            now: the time, in seconds.
        """
        known = data.read("behaviour")["rate-limits"]
        of_identity = path.split("/")[0] == "identity"
        limit = known["identity_per_s"] if of_identity else known["other_per_s"]
        with self._lock:
            admitted = self._admitted[of_identity]
            while admitted and admitted[0] <= now - WINDOW_S:
                admitted.popleft()
            if len(admitted) >= limit or (of_identity and at_once > known["identity_at_once"]):
                return False
            admitted.append(now)
            return True
