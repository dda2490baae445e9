"""What goes into the service and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Request:
    """An HTTP request.

    ``path`` is percent-decoded; ``query`` is not. Names in ``headers`` are in
    lower case.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @cached_property
    def segments(self) -> list[str]:
        """The path in parts; repeated and trailing slashes count for nothing."""
        return [segment for segment in self.path.split("/") if segment]

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """The query, name and value, in order and with repetitions."""
        return parse_qsl(self.query, keep_blank_values=True)

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The query as a mapping."""
        return dict(self.pairs)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply; ``headers`` are all that are sent, in order."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
