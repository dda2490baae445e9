"""What goes into the service and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Request:
    """An HTTP request.

    ``path`` is percent-decoded; ``query`` is not. Names in ``headers`` are in
    lower case. ``at_once`` is how many requests to managed identity were being
    answered when this one came, itself among them.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    at_once: int = 1

    @property
    def target(self) -> str:
        """The path and the query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def line(self) -> str:
        """Verb and target, as a request is told."""
        return f"{self.method} {self.target}"

    @property
    def segments(self) -> tuple[str, ...]:
        """The path in parts; repeated and trailing slashes count for nothing."""
        return _segments(self.path)

    @property
    def place(self) -> str:
        """The path as the service reads it, without repeated slashes, and ``/metadata`` in lower case."""
        top, *below = self.segments or ("",)
        return "/".join(["", top.lower() if top.lower() == "metadata" else top, *below])

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The query, name and value, in order and with repetitions."""
        return _pairs(self.query)

    @property
    def parameters(self) -> Mapping[str, str]:
        """The query as a mapping."""
        return _parameters(self.query)


# A client asks the same again and again; what it asks is parsed once.
@lru_cache(maxsize=256)
def _segments(path: str) -> tuple[str, ...]:
    return tuple(segment for segment in path.split("/") if segment)


@lru_cache(maxsize=256)
def _pairs(query: str) -> tuple[tuple[str, str], ...]:
    return tuple(parse_qsl(query, keep_blank_values=True))


@lru_cache(maxsize=256)
def _parameters(query: str) -> Mapping[str, str]:
    return MappingProxyType(dict(_pairs(query)))


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply; ``headers`` are all that are sent, in order.

    ``silent_after`` is how many bytes of the body are sent before nothing more
    comes; with 0 not even the head is sent. None is all of them. ``later`` is set if
    nothing is sent yet. ``reason`` is what stands behind the status; empty is HTTP's own.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    silent_after: int | None = None
    later: Later | None = None
    reason: str = ""


class Later(NamedTuple):
    """A reply that is not made before its time.

    ``second`` is the service's time, and ``reply`` makes it then.
    """

    second: float
    reply: Callable[[], Reply]
