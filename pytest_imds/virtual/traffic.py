"""What virtual time must know of the servers of a test."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

# A host and a port.
Address = tuple[str, int]


class Standing(NamedTuple):
    """How a client's connection to a server of the test stands.

    ``busy`` says that something has been sent that is not answered yet, and not for want of time. A reply that is
    held back is ``due`` at that second of the clock, and its client has waited ``since`` then.
    """

    busy: bool
    due: float | None
    since: float | None


class Traffic(Protocol):
    """What the servers of the test are doing."""

    @property
    def ports(self) -> Collection[int]:
        """The ports they listen on."""

    def standings(self) -> Mapping[Address, Standing]:
        """Return how each connection stands, by its client's address.

        A connection that is idle, or that is never answered, is neither busy nor due. One whose client has closed
        it is left out. No lock may be taken under which a server waits for the clock.
        """
