"""What the report of a test that failed has of its servers: the section "IMDS traffic", and properties."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from textwrap import wrap

import pytest

from pytest_imds import config as configuration
from pytest_imds import interceptors
from pytest_imds.factory import ServerFactory
from pytest_imds.faults.faults import Window
from pytest_imds.network import addresses, routes
from pytest_imds.server import ImdsServer
from pytest_imds.traffic import silence
from pytest_imds.traffic.table import table

SECTION = "IMDS traffic"
# What a line in the properties is not cut at.
NO_WIDTH = 10_000

# What kind of line it is, and the line.
Line = tuple[str, str]


def tell(report: pytest.TestReport, item: pytest.Item, call: pytest.CallInfo[None], servers: ServerFactory) -> None:
    """Add to the report of a test, or of what stands around it, what there is to tell of its servers."""
    if call.when != "teardown":
        servers.judged = report.passed  # of a test that failed or was skipped, faults prove nothing anyway
    if report.failed:
        error = None if call.excinfo is None else call.excinfo.value
        report.sections.append((SECTION, _section(item, servers, error)))
        told = [(f"imds_{kind}", line) for kind, line in _lines(item, servers, error, NO_WIDTH, bodies=False)]
        # Those of the item are in each of its reports to come; files of results have those of the last one.
        (report if call.when == "teardown" else item).user_properties += told
    if call.when == "teardown":
        chaotic = [line for server in servers.started for line in server.faults.chaotic]
        report.user_properties += [(configuration.CHAOS, line) for line in chaotic]


def _section(item: pytest.Item, servers: ServerFactory, error: BaseException | None) -> str:
    width = configuration.width(item.config)
    verbosity = getattr(item.config.option, "verbose", 0)  # a pytest of 8.0 without a terminal has none
    lines: list[str] = []
    for kind, line in _lines(item, servers, error, width, bodies=verbosity > 0):
        whole = kind in ("again", "seed", "request")  # two are to be copied, the other is as wide as it may be
        lines += [line] if whole else wrap(line, width, subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join(lines)


def _lines(
    item: pytest.Item, servers: ServerFactory, error: BaseException | None, width: int, *, bodies: bool
) -> Iterator[Line]:
    test = getattr(item, "obj", None)
    for server in servers.started:
        vm = server.vm
        yield "vm", f"VM: profile {vm.profile}, name {vm.name}, at {server.url}"
        yield "seed", f"seed: {vm.seed!r}"
        for line in table(server.requests, server.record.dropped, width, bodies=bodies):
            yield "request", line
        for window in server.faults.windows():
            yield "fault", f"fault: {_told(window)}"
    hints = [] if error is None else list(interceptors.hints(error, test))
    yield from (("hint", f"hint: {line}") for line in hints)
    if servers.started and not hints and not any(server.record.entries() for server in servers.started):
        yield "hint", "no request has arrived. What may have kept them:"
        yield from (("hint", f"- {line}") for line in _reasons(servers.started[0], test))
    yield "again", f"again: {shlex.join(configuration.again(item))}"


def _reasons(server: ImdsServer, test: object) -> Iterator[str]:
    redirected = routes.serves(addresses.hosts()[0], addresses.known()["port"])
    return silence.reasons(server.url, redirected, os.environ, test)


def _told(window: Window) -> str:
    if window.begin_s is None:
        return f"{window.fault} has hit nothing"
    end = "on" if window.end_s is None else f"to {window.end_s:.3f} s"
    return f"{window.fault} from {window.begin_s:.3f} s {end}, hits: {window.hits}"
