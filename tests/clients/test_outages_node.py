"""What @azure/identity and @azure/msal-node do while something is wrong, as measured with 4.13.1 and 5.6.0."""

from __future__ import annotations

import json
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_imds.factory import ServerFactory
from tests.clients.outages import begin, node_with
from tests.clients.redirected import RESOURCE, TIMEOUT_S, claims, redirect

SCRIPT = Path(__file__).with_name("outages.mjs")
# Between which seconds each wait for the next request is.
Waits = tuple[tuple[float, float], ...]


class Measured(NamedTuple):
    """What a library does: how long it waits before it asks again, and what it throws in the end."""

    waits: Waits
    error: str


def doubling(first: float, count: int) -> Waits:
    """Waits that double, each a random one between half of it and all."""
    return tuple((first / 2 * 2**n, first * 2**n) for n in range(count))


def exactly(*seconds: float) -> Waits:
    """Waits without chance."""
    return tuple((wait, wait) for wait in seconds)


IDENTITY = {
    outage: Measured(waits, "CredentialUnavailableError")
    for outage, waits in {
        "404": doubling(0.8, 5),
        "410": doubling(3, 5),  # 46.5 to 93 seconds
        "429": (),  # throttled without being told for how long, it gives up
        "429-retry-after-1": exactly(1, 1, 1),
        **dict.fromkeys(("500", "503", "refused", "reset", "empty"), doubling(1, 3)),
        "html": (),
    }.items()
}
MSAL_NODE = {
    # It does not look at Retry-After.
    **dict.fromkeys(("404", "429", "429-retry-after-1", "500", "503"), Measured(exactly(1, 2, 4), "ServerError")),
    "410": Measured(exactly(*[10] * 7), "ServerError"),
    **dict.fromkeys(("refused", "reset", "empty"), Measured((), "NetworkError")),
    "html": Measured((), "AuthError"),
}
LIBRARIES = {"identity": IDENTITY, "msal-node": MSAL_NODE}


def ask(library: str, *services: str) -> list[dict[str, Any]]:
    """Ask each service for a token, one after the other, in one process."""
    node = node_with(f"@azure/{library}", SCRIPT.parent)
    command = [node, str(SCRIPT), library, RESOURCE]
    told = subprocess.run(
        command, input=json.dumps(services).encode(), check=True, capture_output=True, timeout=3 * TIMEOUT_S
    )
    answers: list[dict[str, Any]] = json.loads(told.stdout)
    return answers


def waits_of(answer: dict[str, Any]) -> list[float]:
    moments = answer["asked"]
    return [after - before for before, after in pairwise(moments)]


def within(waits: list[float], bounds: Waits) -> bool:
    """Whether there are as many waits as bounds, and all lie in theirs; it waits whole milliseconds."""
    return len(waits) == len(bounds) and all(
        least - 0.002 <= wait <= most + 0.002 for wait, (least, most) in zip(waits, bounds, strict=True)
    )


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_asks_as_often_and_waits_as_long_as_measured(
    library: str, monkeypatch: pytest.MonkeyPatch, make_imds_server: ServerFactory
) -> None:
    measured = LIBRARIES[library]
    servers = {outage: make_imds_server() for outage in measured}
    for outage, server in servers.items():
        begin(server.faults, outage)
    servers["passing"] = serviced = make_imds_server()
    serviced.faults.gone(times=5)
    redirect(monkeypatch, serviced)

    # All in one process: to load a library takes longer than everything else.
    answers = dict(zip(servers, ask(library, *(server.url for server in servers.values())), strict=True))

    differing = {
        outage: (answers[outage], expected)
        for outage, expected in measured.items()
        if not within(waits_of(answers[outage]), expected.waits) or answers[outage].get("error") != expected.error
    }
    assert differing == {}
    assert claims(serviced, answers["passing"]["token"])["oid"] == serviced.vm.identities[0].object_id
    assert within(waits_of(answers["passing"]), measured["410"].waits[:5])
    # What the script says it has sent has arrived; who is refused is not seen.
    arrived = {outage: len(servers[outage].faults.fired) for outage in measured if outage != "refused"}
    assert arrived == {outage: len(answers[outage]["asked"]) for outage in arrived}
