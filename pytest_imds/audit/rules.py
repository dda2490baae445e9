"""Each rule: what it asks, as ``fixtures_data/rules.json`` has it, and the function that finds what breaks it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from pytest_imds import data
from pytest_imds.audit import conduct, form
from pytest_imds.audit.finding import Breach, Finding
from pytest_imds.audit.places import is_for_imds
from pytest_imds.traffic.exchange import Exchange

Rule = Callable[[Sequence[Exchange], "str | None"], Iterator[Breach]]

RULES: Mapping[str, Rule] = {
    "metadata-header": form.metadata_header,
    "probe-without-header": form.probe_without_header,
    "no-forwarded-header": form.no_forwarded_header,
    "bypass-proxies": form.bypass_proxies,
    "api-version": form.api_version,
    "repeated-parameters": form.repeated_parameters,
    "text-for-leaves": form.text_for_leaves,
    "rate": conduct.rate,
    "wait-before-retry": conduct.wait_before_retry,
    "back-off": conduct.back_off,
    "keep-trying": conduct.keep_trying,
    "no-retry": conduct.no_retry,
    "nonce": conduct.nonce,
    "cache-tokens": conduct.cache_tokens,
}


def findings(
    requests: Sequence[Exchange], newest: str | None = None, rules: Collection[str] = tuple(RULES), server: str = ""
) -> Iterator[Finding]:
    """Find which rules the clients of a server have broken, rule by rule.

    Args:
        requests: what has arrived at the server, in order.
        newest: the newest api-version that it has; None is all of them.
        rules: which to look at.
        server: its URL.
    """
    of_imds = [request for request in requests if is_for_imds(request)]
    for name in (name for name in RULES if name in rules):
        row = data.read("rules")[name]
        what = {key: row[key] for key in ("severity", "asks", "change", "source")}
        for breach in RULES[name](of_imds, newest):
            yield Finding(rule=name, requests=breach.requests, told=breach.told, server=server, **what)
