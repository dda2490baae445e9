"""The faults by their names: what each one is, and what it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

from pytest_imds import data
from pytest_imds.clock import seconds_at_least
from pytest_imds.errors import ImdsUsageError
from pytest_imds.faults import script
from pytest_imds.faults.effects import (
    Altered,
    Content,
    Door,
    Effect,
    Flapping,
    Foreign,
    Late,
    Refusal,
    StaleNonce,
    Wire,
)
from pytest_imds.faults.script import End
from pytest_imds.service.message import Request

if TYPE_CHECKING:
    from typing_extensions import Unpack

ATTESTED, TOKEN = "/metadata/attested/document", "/metadata/identity/oauth2/token"
ERRORS_OF_STATUS = {500: "server-error", 503: "unavailable"}
CLOUDS = ("aws", "gcp")


class Times(TypedDict, total=False):
    """How often.

    Attributes:
        after: how many requests are let through first.
        times: how many are broken; all by default.
        required: whether the test fails if none is broken; true by default.
    """

    after: int
    times: int
    required: bool


class Which(Times, total=False):
    """Which requests a fault breaks.

    Attributes:
        path: a glob of their paths, such as ``/metadata/identity/*``; anything under ``/metadata`` by default.
        probability: how likely one is broken, from 0 to 1; chance comes from the test's seed.
    """

    path: str
    probability: float


class When(Which, total=False):
    """Which requests a fault breaks, and for how long.

    Attributes:
        window: for how many seconds it lasts, from the first that it breaks; for ever by default.
    """

    window: float


class Attempts(Times, total=False):
    """Which attempts to connect a fault breaks: one that is not made has no path.

    Attributes:
        window: for how many seconds it lasts; for ever by default.
    """

    window: float


class Kinds:
    """Every fault, by a method of its name; the marker ``imds_fault`` takes the same names and parameters."""

    def _plan(self, name: str, effect: Effect, told: dict[str, Any], when: When | Attempts) -> None:
        raise NotImplementedError

    def gone(self, *, window: float = 70, **which: Unpack[Which]) -> None:
        """410, while the host is serviced; Azure says that IMDS is back within 70 seconds.

        Source: ``gone`` in ``fixtures_data/errors.json``.
        """
        self._plan("gone", Refusal("gone"), {}, {"window": window, **which})

    def throttled(self, *, requests: int | None = None, retry_after: int | None = None, **when: Unpack[When]) -> None:
        """429, for so many requests, or for a ``window``, or for ever.

        Args:
            requests: how many get it, as ``times``.
            retry_after: the seconds in a header ``Retry-After``; none by default, as nothing shows that IMDS sends it.
            when: which requests.

        Source: ``throttled`` in ``fixtures_data/errors.json``.
        """
        wait_s = None if retry_after is None else _count("retry_after", retry_after)
        told = {"requests": requests, "retry_after": retry_after}
        if requests is not None:
            if "times" in when:
                raise ImdsUsageError.wrong_value("times", when["times"], "left out, where requests says how many")
            when["times"] = _count("requests", requests, least=1)
            told["times"] = None
        self._plan("throttled", Refusal("throttled", wait_s), told, when)

    def missing_header(self, **when: Unpack[When]) -> None:
        """400: something on the way has taken the header ``Metadata`` away."""
        self._plan("missing_header", Altered(_without_metadata), {}, when)

    def forwarded(self, **when: Unpack[When]) -> None:
        """400: a proxy on the way has put ``X-Forwarded-For`` there."""
        self._plan("forwarded", Altered(_forwarded), {}, when)

    def server_error(self, status: int = 500, **when: Unpack[When]) -> None:
        """500 or 503.

        Source: ``server-error`` and ``unavailable`` in ``fixtures_data/errors.json``.
        """
        if status not in ERRORS_OF_STATUS:
            raise ImdsUsageError.wrong_value("status", status, " or ".join(map(str, ERRORS_OF_STATUS)))
        self._plan("server_error", Refusal(ERRORS_OF_STATUS[status]), {"status": status}, when)

    def not_found(self, **when: Unpack[When]) -> None:
        """404, as while the VM boots.

        Source: ``not-there-yet`` in ``fixtures_data/errors.json``.
        """
        self._plan("not_found", Refusal("not-there-yet"), {}, when)

    def stale_nonce(self, **when: Unpack[When]) -> None:
        """The attested document of an earlier nonce, as it was then: the service answers from a cache.

        Without an earlier one it is the document of a nonce that was never sent.

        Source: ``nonce-fresh`` in ``fixtures_data/attested.json``.
        """
        when.setdefault("path", ATTESTED)
        self._plan("stale_nonce", StaleNonce(), {}, when)

    def stale_identity(self, **when: Unpack[When]) -> None:
        """400 ``Identity not found``, for an identity that the VM has got but that is not known everywhere yet.

        Source: ``identity-not-found`` in ``fixtures_data/errors.json``.
        """
        when.setdefault("path", TOKEN)
        self._plan("stale_identity", Refusal("identity-not-found"), {}, when)

    def flapping(self, *, up: float, down: float, **when: Unpack[When]) -> None:
        """Good for ``up`` seconds from the first request on, then 503 for ``down`` seconds, and so on."""
        up_s, down_s = seconds_at_least("up", up, 0), _some_seconds("down", down)
        effect = Flapping("unavailable", up_s=up_s, down_s=down_s)
        self._plan("flapping", effect, {"up": up, "down": down}, when)

    def wrong_content(
        self, body: str | bytes | None = None, content_type: str = "text/html; charset=utf-8", **when: Unpack[When]
    ) -> None:
        """200 with what is not JSON: the page of a captive portal by default."""
        page = data.read("foreign")["captive-portal"]["body"] if body is None else body
        if not isinstance(page, (str, bytes)):
            raise ImdsUsageError.wrong_value("body", body, "text or bytes")
        header: Any = content_type
        if not isinstance(header, str) or not header.isprintable() or not header.isascii():
            raise ImdsUsageError.wrong_value("content_type", content_type, "the value of a header, on one line")
        sent = page.encode() if isinstance(page, str) else page
        self._plan("wrong_content", Content(sent, content_type), {}, when)

    def wrong_cloud(self, cloud: str = "aws", **when: Unpack[When]) -> None:
        """The metadata service of another cloud answers: ``aws`` or ``gcp``.

        Source: ``fixtures_data/foreign.json``.
        """
        self._foreign("wrong_cloud", "cloud", cloud, CLOUDS, when)

    def wrong_service(self, service: str, **when: Unpack[When]) -> None:
        """Something else answers: ``firecracker``, ``docker-desktop``, ``host``, ``captive-portal`` or ``empty``.

        Source: ``fixtures_data/foreign.json``.
        """
        others = tuple(name for name in data.read("foreign") if name not in CLOUDS)
        self._foreign("wrong_service", "service", service, others, when)

    def latency(self, seconds: float, jitter: float = 0, **when: Unpack[When]) -> None:
        """The reply is late by ``seconds``, and up to ``jitter`` seconds more; it goes together with other faults."""
        effect = Late(seconds_at_least("seconds", seconds, 0), seconds_at_least("jitter", jitter, 0))
        self._plan("latency", effect, {"seconds": seconds, "jitter": jitter}, when)

    def blackhole(self, **when: Unpack[When]) -> None:
        """Nothing ever comes over a connection that is made: what a request from a secondary interface meets."""
        self._wire("blackhole", script.cut(0, End.SILENCE), {}, when)

    def reset(self, after_bytes: int = 0, **when: Unpack[When]) -> None:
        """An RST after so many bytes of the reply, head and body together."""
        self._wire(
            "reset", script.cut(_count("after_bytes", after_bytes), End.RESET), {"after_bytes": after_bytes}, when
        )

    def empty_response(self, **when: Unpack[When]) -> None:
        """The connection is closed without a byte."""
        self._wire("empty_response", script.cut(0, End.CLOSE), {}, when)

    def half_closed(self, after_bytes: int = 0, **when: Unpack[When]) -> None:
        """The server ends its side after so many bytes of the reply, and leaves the client's side open."""
        writer = script.cut(_count("after_bytes", after_bytes), End.HALF_CLOSE)
        self._wire("half_closed", writer, {"after_bytes": after_bytes}, when)

    def truncated(self, bytes: int | None = None, **when: Unpack[When]) -> None:
        """``Content-Length`` promises more than comes: so many bytes of the body, half of it by default."""
        count = None if bytes is None else _count("bytes", bytes)
        self._wire("truncated", script.truncated(count), {"bytes": bytes}, when)

    def malformed_chunk(self, **when: Unpack[When]) -> None:
        """The body comes in chunks, and the length of one is no number."""
        self._wire("malformed_chunk", script.malformed_chunk, {}, when)

    def random_data(self, **when: Unpack[When]) -> None:
        """Bytes that are no HTTP; the same seed gives the same."""
        self._plan("random_data", Wire(script.random_data), {}, when)

    def dribble(self, chunks: int = 10, over: float = 5, **when: Unpack[When]) -> None:
        """The body comes in so many pieces, spread evenly over so many seconds."""
        writer = script.dribble(_count("chunks", chunks, least=1), seconds_at_least("over", over, 0))
        self._wire("dribble", writer, {"chunks": chunks, "over": over}, when)

    def refused(self, **when: Unpack[Attempts]) -> None:
        """Connections are refused: nothing listens.

        ``after`` counts requests, ``times`` the attempts to connect of this process, and ``window`` begins at once:
        attempts of other processes are not seen.
        """
        self._plan("refused", Door("refused"), {}, when)

    def connect_timeout(self, **when: Unpack[Attempts]) -> None:
        """Attempts to connect get no answer; as ``refused`` in all else."""
        self._plan("connect_timeout", Door("unanswered"), {}, when)

    def _wire(self, name: str, writer: script.Writer, told: dict[str, Any], when: When) -> None:
        self._plan(name, Wire(lambda random: writer), told, when)

    def _foreign(self, name: str, what: str, who: str, known: tuple[str, ...], when: When) -> None:
        if who not in known:
            raise ImdsUsageError.unknown(what, who, known)
        self._plan(name, Foreign(who), {what: who}, when)


KINDS = tuple(name for name in vars(Kinds) if not name.startswith("_"))


def _without_metadata(request: Request) -> Request:
    return replace(request, headers={name: value for name, value in request.headers.items() if name != "metadata"})


def _forwarded(request: Request) -> Request:
    return replace(request, headers={**request.headers, "x-forwarded-for": "10.0.0.4"})


def _count(what: str, received: Any, least: int = 0) -> int:
    if not isinstance(received, int) or isinstance(received, bool) or received < least:
        raise ImdsUsageError.wrong_value(what, received, f"a whole number, {least} or more")
    return received


def _some_seconds(what: str, received: Any) -> float:
    if seconds_at_least(what, received, 0) == 0:
        raise ImdsUsageError.wrong_value(what, received, "seconds, more than 0")
    return float(received)
