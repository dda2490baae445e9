"""What a fault does to a request: a value for each way in which one can go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from random import Random
from typing import Literal

from pytest_imds import data
from pytest_imds.faults.script import Writer
from pytest_imds.host import Host
from pytest_imds.service import endpoints, replies
from pytest_imds.service.handle import handle
from pytest_imds.service.message import Reply, Request
from pytest_imds.tree import compact

# What a cache has of which nothing is known.
NEVER_SENT = ("0000000000", "9999999999")


@dataclass(frozen=True)
class Effect:
    """Nothing: what all of them have in common."""

    def notice(self, request: Request, now: float) -> None:
        """Take note of a request that it might break."""

    def at(self, elapsed_s: float) -> bool:
        """Return whether it breaks a request so long after the first that it could break."""
        return True

    def late_s(self, random: Random) -> float:
        """Return by how many seconds the reply is late."""
        return 0.0

    def reply(self, request: Request, host: Host) -> Reply | None:
        """Return the reply in place of the service's own, or None."""
        return None

    def writer(self, random: Random) -> Writer | None:
        """Return how the bytes of the reply leave, or None for the usual way."""
        return None


@dataclass(frozen=True)
class Refusal(Effect):
    """The service refuses: with an error of the data, in the words of the endpoint that was asked."""

    error: str
    retry_after_s: int | None = None

    def reply(self, request: Request, host: Host) -> Reply:
        """Return the error."""
        _, *below = request.segments or ("",)
        endpoint = endpoints.find(tuple(below)) or endpoints.Endpoint("")
        reply = replies.refusal(request, host, endpoint, self.error)
        if self.retry_after_s is None:
            return reply
        return replace(reply, headers=(*reply.headers, ("Retry-After", str(self.retry_after_s))))


@dataclass(frozen=True)
class Flapping(Refusal):
    """The service answers for a while, refuses for a while, and so on."""

    up_s: float = 0.0
    down_s: float = 0.0

    def at(self, elapsed_s: float) -> bool:
        """Return whether it is down."""
        return elapsed_s % (self.up_s + self.down_s) >= self.up_s


@dataclass(frozen=True)
class Altered(Effect):
    """Something on the way alters the request; the service answers what reaches it."""

    change: Callable[[Request], Request]

    def reply(self, request: Request, host: Host) -> Reply:
        """Return what the service answers."""
        return handle(self.change(request), host)


@dataclass(frozen=True)
class StaleNonce(Effect):
    """The service answers from a cache: with the document that it made for another nonce, as it was then."""

    sent: list[tuple[str, float]] = field(default_factory=list)

    def notice(self, request: Request, now: float) -> None:
        """Take note of the nonce, and of when it came."""
        if (nonce := request.parameters.get("nonce")) is not None:
            self.sent.append((nonce, now))

    def reply(self, request: Request, host: Host) -> Reply:
        """Return the document of the latest other nonce; what is refused is refused all the same."""
        fresh = handle(request, host)
        if fresh.status != 200:
            return fresh
        unsent = [(nonce, host.clock.time()) for nonce in NEVER_SENT]
        others = [(nonce, at) for nonce, at in (*unsent, *self.sent) if nonce != request.parameters.get("nonce")]
        nonce, at = others[-1]
        made = host.attestation.document(
            nonce=nonce,
            api_version=request.parameters["api-version"],
            created_on=datetime.fromtimestamp(at, timezone.utc),
        )
        return replies.json_text(host, compact(dict(made)))


@dataclass(frozen=True)
class Foreign(Effect):
    """Something else than IMDS answers; ``who`` is its row in the data."""

    who: str

    def reply(self, request: Request, host: Host) -> Reply:
        """Return its answer."""
        return replies.recorded(host, data.read("foreign")[self.who])


@dataclass(frozen=True)
class Content(Effect):
    """A 200 with what IMDS does not say."""

    body: bytes
    content_type: str

    def reply(self, request: Request, host: Host) -> Reply:
        """Return it."""
        return replies.strange(host, self.content_type, self.body)


@dataclass(frozen=True)
class Late(Effect):
    """The reply is late."""

    seconds: float
    jitter_s: float

    def late_s(self, random: Random) -> float:
        """Return by how much."""
        return self.seconds + random.uniform(0, self.jitter_s)


@dataclass(frozen=True)
class Wire(Effect):
    """The bytes of the reply do not leave as they should."""

    write: Callable[[Random], Writer]

    def writer(self, random: Random) -> Writer:
        """Return how they leave."""
        return self.write(random)


@dataclass(frozen=True)
class Door(Effect):
    """No connection is made: ``kind`` says what happens to those who try."""

    kind: Literal["refused", "unanswered"]
