"""The exceptions that users can see; their constructors own the prose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from traceback import format_exception
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_imds.audit.finding import Finding

INNER_PACKAGES = ("pytest_imds", "pytest_httpserver", "werkzeug")


class ImdsError(Exception):
    """Anything that pytest-imds raises."""


class ImdsUsageError(ImdsError, ValueError):
    """A profile, knob, option or value that pytest-imds does not have.

    ``received`` is what was given in its place, where that is one thing, and ``marker`` the marker that has it, where
    that is known.
    """

    received: object = None
    marker: object = None

    @classmethod
    def unknown(cls, what: str, received: object, known: Iterable[str], advice: str = "") -> ImdsUsageError:
        """Say that ``received`` is none of ``known``, and name the nearest."""
        from difflib import get_close_matches  # every test run would pay for it, and none may need it

        names = sorted(known)
        lines = [f"unknown {what} {received!r}."]
        lower = {name.lower(): name for name in names}
        nearest = get_close_matches(received.lower(), lower, n=1) if isinstance(received, str) else []
        if nearest:
            lines.append(f"  did you mean {lower[nearest[0]]!r}?")
        lines.append(f"  known: {', '.join(names)}")
        if advice:
            lines.append(f"  {advice}")
        return cls._of(received, lines)

    @classmethod
    def wrong_value(cls, what: str, received: object, right: str) -> ImdsUsageError:
        """Say that ``what`` cannot be ``received``, and what it can be."""
        return cls._of(received, [f"{what} cannot be {received!r}.", f"  right: {right}"])

    @classmethod
    def wrong_moment(cls, what: str, status: str, needed: str) -> ImdsUsageError:
        """Say that something cannot be done in this state, and in which it can."""
        return cls(f"{what} is not possible: its status is {status}.\n  right: while it is {needed}")

    @classmethod
    def no_sockets(cls, reason: object, advice: str) -> ImdsUsageError:
        """Say that a plugin lets no socket be made, and how to have one."""
        return cls(f"the server needs sockets, and this test must not make any: {reason}\n  right: {advice}")

    @classmethod
    def _of(cls, received: object, lines: list[str]) -> ImdsUsageError:
        error = cls("\n".join(lines))
        error.received = received
        return error

    @classmethod
    def impossible_vm(cls, problem: str, advice: str) -> ImdsUsageError:
        """Say that no Azure VM is like the one asked for."""
        return cls(
            f"{problem}\n  {advice}\n"
            "  to serve it all the same: assign the attribute during the test, or use vm.override()"
        )


class ImdsPortError(ImdsError, OSError):
    """The port that was asked for cannot be listened on."""

    @classmethod
    def taken(cls, port: int) -> ImdsPortError:
        """Say that ``port`` is in use, and how to get a free one."""
        return cls(f"cannot listen on 127.0.0.1:{port}.\n  leave port out (or 0) to get a free one")


class ImdsGuardError(ImdsError, RuntimeError):
    """A connection to an address of Azure's host was not made, because no server of the test is there.

    It is no ``OSError``: clients take one for a network that is down, and go on.
    """

    @classmethod
    def no_server(cls, test: str, host: str, port: object) -> ImdsGuardError:
        """Say what ``test`` wanted, why that is wrong, and how to have a server there."""
        return cls(
            f"{test or 'code outside of any test'} wanted to connect to {host}:{port}, where no server of a test is.\n"
            "  nothing was sent: on Azure the machine's own metadata service would have answered, elsewhere nobody\n"
            "  to have the test's server there: the fixture imds_redirect, or @pytest.mark.imds(redirect=True);"
            " for other programs imds_server.run()"
        )

    @classmethod
    def other_port(cls, host: str, port: object) -> ImdsGuardError:
        """Say that the server of the test stands in for port 80 alone."""
        return cls(
            f"a client wanted to connect to {host}:{port}; the test's server stands in for port 80 alone.\n"
            "  nothing was sent: no connection to this address leaves the machine while imds_redirect is there"
        )


class ImdsNamespaceError(ImdsError, RuntimeError):
    """A program cannot be started in a network of its own."""

    @classmethod
    def not_linux(cls, platform: str) -> ImdsNamespaceError:
        """Say that other systems have no network namespaces."""
        return cls(
            f"a network of its own for a program takes Linux, and this is {platform}.\n"
            "  give the program the address: env=imds_server.env() for SDKs that take it from there, or imds_server.url"
        )

    @classmethod
    def refused(cls, step: str, reason: str, advice: Sequence[str]) -> ImdsNamespaceError:
        """Say at which step the system said no, and what may be enabled."""
        lines = [f"a network of its own for a program cannot be made here: {step}: {reason}.", "  to allow it:"]
        return cls("\n".join([*lines, *(f"    {line}" for line in advice)]))

    @classmethod
    def silent(cls, seconds: float) -> ImdsNamespaceError:
        """Say that the program that makes the network does not answer."""
        return cls(f"a network of its own for a program was not made within {seconds:g} seconds.")


class ImdsServerError(ImdsError, AssertionError):
    """What went wrong inside the server while a test ran."""

    @classmethod
    def during_test(cls, problems: Sequence[tuple[BaseException | str, Sequence[str]]]) -> ImdsServerError:
        """Put every problem, with its request and its traceback, in one message."""
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        parts = [f"{count} inside the IMDS server during this test:"]
        for number, (problem, requests) in enumerate(problems, start=1):
            where = f"while it answered {', '.join(requests)}:\n" if requests else ""
            parts.append(f"{number}. {where}{_told(problem)}")
        return cls("\n\n".join(parts))


class ImdsAuditError(ImdsError, AssertionError):
    """The clients of a test have broken rules of IMDS for its callers."""

    @classmethod
    def broken(cls, by_rule: Sequence[Sequence[Finding]]) -> ImdsAuditError:
        """Put every rule, with what was found, in one message; the findings of each rule are one sequence."""
        count = "a rule" if len(by_rule) == 1 else f"{len(by_rule)} rules"
        parts = [f"the clients of this test broke {count} of IMDS for its callers:"]
        parts += [f"{number}. {_of_rule(findings)}" for number, findings in enumerate(by_rule, start=1)]
        return cls("\n\n".join(parts))


class ImdsAuditWarning(UserWarning):
    """The clients of a test do what works, and what IMDS advises its callers against."""

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> ImdsAuditWarning:
        """Say what was found of one rule."""
        return cls(_of_rule(findings))


# How many requests a message lists of those that have one thing wrong with them.
SHOWN_BREACHES = 5


def _of_rule(findings: Sequence[Finding]) -> str:
    rule = findings[0]
    servers = {finding.server for finding in findings}
    told: dict[str, list[str]] = {}
    for finding in findings:
        where = f" at {finding.server}" if len(servers) > 1 else ""
        told.setdefault(finding.told, []).extend(
            f"{request.number}. {request.line}{where} ({request.at_s:.3f} s: {request.status or 'no reply'})"
            for request in finding.requests
        )
    lines = [f"{rule.rule}: {rule.asks}"]
    for what, requests in told.items():
        lines += [f"  {what}:", *(f"    {request}" for request in requests[:SHOWN_BREACHES])]
        if len(requests) > SHOWN_BREACHES:
            lines.append(f"    and {len(requests) - SHOWN_BREACHES} more")
    lines += [f"  change: {rule.change}", f"  source: {rule.source}"]
    return "\n".join([*lines, f'  to leave the rule out: @pytest.mark.imds(ignore=["{rule.rule}"])'])


# How many requests a message lists.
SHOWN = 20


def never_fired(fault: str, arrived: Sequence[str]) -> str:
    """Say that a fault has broken nothing, what did arrive, and what to do."""
    lines = [f"the fault {fault} never fired: this test has proved nothing about it.", "  requests that arrived:"]
    lines += [f"    {request}" for request in arrived[-SHOWN:]] or ["    none"]
    if len(arrived) > SHOWN:
        lines.insert(2, f"    ({len(arrived) - SHOWN} more before these)")
    return "\n".join([*lines, "  if it need not fire: required=False"])


def _told(problem: BaseException | str) -> str:
    if isinstance(problem, str):
        return problem
    # The way from the socket to the handler is the same every time: it starts where the user's code does.
    start = problem.__traceback__
    while start is not None and start.tb_frame.f_globals.get("__name__", "").split(".")[0] in INNER_PACKAGES:
        start = start.tb_next
    return "".join(format_exception(type(problem), problem, start or problem.__traceback__)).rstrip()
