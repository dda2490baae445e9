"""What a test has of the audit: what is found, and the verdict on it when the test ends."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple, Protocol

from pytest_imds.audit.finding import Finding
from pytest_imds.audit.rules import RULES, findings
from pytest_imds.errors import ImdsAuditError, ImdsAuditWarning, ImdsUsageError
from pytest_imds.traffic.exchange import Exchange

PROXIES = "bypass-proxies"


class Audited(Protocol):
    """A server whose clients are looked at."""

    @property
    def url(self) -> str:
        """Its address."""

    @property
    def newest(self) -> str | None:
        """The newest api-version that it has; None is all of them."""

    @property
    def requests(self) -> Sequence[Exchange]:
        """What has arrived."""


class Scope(NamedTuple):
    """What is looked at, and what becomes of it.

    Attributes:
        rules: the names of the rules.
        judged: whether what is found fails the test, or warns.
        strict: whether what would only warn fails the test, too.
    """

    rules: tuple[str, ...] = tuple(RULES)
    judged: bool = True
    strict: bool = False


def scope(audit: object, ignore: object = ()) -> Scope:
    """Return what is looked at.

    Args:
        audit: True is every rule, False as well, but nothing is judged; or the names of rules.
        ignore: the names of rules to leave out.

    Raises:
        ImdsUsageError: there is no such rule.
    """
    left_out = _names("ignore", ignore, "the names of rules")
    named = RULES if isinstance(audit, bool) else _names("audit", audit, "True, False or the names of rules")
    rules = tuple(rule for rule in RULES if rule in named and rule not in left_out)
    return Scope(rules, judged=audit is not False, strict=not isinstance(audit, bool))


def _names(option: str, given: object, right: str) -> Iterable[str]:
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, (list, tuple, set, frozenset)) or (option == "audit" and not names):
        raise ImdsUsageError.wrong_value(option, given, right)
    for name in names:
        if not isinstance(name, str) or name not in RULES:
            raise ImdsUsageError.unknown("rule for callers of IMDS", name, RULES)
    return names


class Audit:
    """Looks at what the clients of servers have asked, and at how.

    Args:
        servers: the servers; those that are added later are looked at as well.
        audit: True is every rule; a list of names these, each of which fails the test; False every rule, and nothing
            fails or warns.
        ignore: the names of rules to leave out.

    Raises:
        ImdsUsageError: there is no such rule.
    """

    def __init__(self, servers: Iterable[Audited], audit: object = True, ignore: object = ()) -> None:
        self._servers = servers
        self._scope = scope(audit, ignore)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What has been found by now, rule by rule; of the rules alone that are named, if any are."""
        found = [
            finding
            for server in self._servers
            for finding in findings(server.requests, server.newest, self._scope.rules, server.url)
        ]
        order = [*RULES]
        return tuple(sorted(found, key=lambda finding: order.index(finding.rule)))

    @property
    def looks_at_proxies(self) -> bool:
        """Whether a proxy is to be set for clients to fall for."""
        return PROXIES in self._scope.rules

    def judge(self, path: str = "", line: int = 0) -> None:
        """Raise what is wrong, and warn with an ``ImdsAuditWarning`` of what is advised against.

        Args:
            path: the file that warnings point at; that of the caller by default.
            line: the line there.

        Raises:
            ImdsAuditError: a client has broken a rule. Warnings that are turned into errors are in it as well.
        """
        if not self._scope.judged:
            return
        wrong = []
        for _, found in groupby(self.findings, attrgetter("rule")):
            same = tuple(found)
            if self._scope.strict or same[0].severity == "error":
                wrong.append(same)
                continue
            warning = ImdsAuditWarning.of(same)
            try:
                if path:
                    warnings.warn_explicit(warning, None, path, line)
                else:
                    warnings.warn(warning, stacklevel=2)
            except ImdsAuditWarning:
                wrong.append(same)
        if wrong:
            raise ImdsAuditError.broken(wrong)
