"""The rules about the form of requests, each by itself.

Each takes the requests to a server below ``/metadata``, in order, and the newest api-version that it has, and yields
those that break it. What each asks, and its source, is in ``fixtures_data/rules.json``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pytest_imds import data
from pytest_imds.audit.finding import Breach
from pytest_imds.audit.places import endpoint, has_header, is_for_identity
from pytest_imds.service import versions
from pytest_imds.traffic.exchange import Exchange


def metadata_header(requests: Sequence[Exchange], newest: str | None) -> Iterator[Breach]:
    """Find requests without the header, other than probes."""
    for position, request in enumerate(requests):
        if not has_header(request) and not _is_probe(requests, position):
            sent = request.headers.get("metadata")
            yield Breach((request,), "no header Metadata" if sent is None else f"the header Metadata is {sent!r}")


def probe_without_header(requests: Sequence[Exchange], newest: str | None) -> Iterator[Breach]:
    """Find probes without the header."""
    for position, request in enumerate(requests):
        if not has_header(request) and _is_probe(requests, position):
            yield Breach((request,), "a probe without the header Metadata")


def _is_probe(requests: Sequence[Exchange], position: int) -> bool:
    """Return whether managed identity is asked with the header later on."""
    later = requests[position + 1 :]
    return is_for_identity(requests[position]) and any(is_for_identity(one) and has_header(one) for one in later)


def no_forwarded_header(requests: Sequence[Exchange], newest: str | None) -> Iterator[Breach]:
    """Find requests that say for whom they were forwarded."""
    for request in requests:
        sent = request.headers.get("x-forwarded-for")
        if sent is not None:
            yield Breach((request,), f"the header X-Forwarded-For is {sent!r}")


def bypass_proxies(requests: Sequence[Exchange], newest: str | None) -> Iterator[Breach]:
    """Find requests that were sent to a proxy."""
    for request in requests:
        if request.proxied:
            yield Breach((request,), "sent to the proxy that HTTP_PROXY names")


def api_version(requests: Sequence[Exchange], newest: str | None) -> Iterator[Breach]:
    """Find requests without an api-version that the service has, unless the client comes to one."""
    wrong: dict[tuple[str, str], list[Breach]] = {}
    for request in requests:
        asked = (request.method, request.asked.place)
        told = _wrong_version(request, newest)
        if told is None:
            # What lacks the header was not refused for its version, so nothing was learnt from it.
            wrong[asked] = [breach for breach in wrong.get(asked, []) if not has_header(breach.requests[0])]
        else:
            wrong.setdefault(asked, []).append(Breach((request,), told))
    yield from sorted((breach for breaches in wrong.values() for breach in breaches), key=_number)


def _number(breach: Breach) -> int:
    return breach.requests[0].number


def _wrong_version(request: Exchange, newest: str | None) -> str | None:
    """Say what is wrong with the api-version of a request, if the service has what it asks for."""
    asked = endpoint(request)
    if asked is None or asked.version_parameter is None or not versions.exists(asked, newest):
        return None
    named, known = request.query.get(asked.version_parameter, ""), versions.of(asked, newest)
    if named in known:
        return None
    what = f"the {asked.version_parameter} {named!r} is none that the service has" if named else "no api-version"
    return f"{what}; its newest is {known[-1]}"


def repeated_parameters(requests: Sequence[Exchange], newest: str | None) -> Iterator[Breach]:
    """Find queries that name a parameter twice."""
    for request in requests:
        counted = Counter(name for name, _ in request.asked.pairs)
        if repeated := [name for name, count in counted.items() if count > 1]:
            yield Breach((request,), f"the query has {', '.join(repeated)} more than once")


def text_for_leaves(requests: Sequence[Exchange], newest: str | None) -> Iterator[Breach]:
    """Find leaves that are asked for in JSON."""
    for request in requests:
        if _is_leaf(request) and request.query.get("format", "json").lower() != "text":
            yield Breach((request,), "a leaf, without format=text")


def _is_leaf(request: Exchange) -> bool:
    asked = endpoint(request)
    if asked is None or not asked.elements:
        return False
    path = "".join("[]" if part.isdecimal() else f".{part}" for part in asked.route).lstrip(".")
    field = data.read("schema").get(path)
    return field is not None and field["type"] not in ("object", "array")
