"""GUIDs by chance that can be reproduced."""

from __future__ import annotations

from random import Random


def guid(random: Random) -> str:
    """Return a random GUID (RFC 9562, version 4), in lower case.

    A reply has one, and :class:`uuid.UUID` takes as long as the rest of its headers.
    """
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
