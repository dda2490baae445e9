"""What msal does while something is wrong, as measured with 1.33.0 and 1.39.0; time is virtual."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from json import JSONDecodeError
from typing import Any

import pytest
import requests
from msal import ManagedIdentityClient, SystemAssignedManagedIdentity  # type: ignore[import-untyped]
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from pytest_imds import Clock, Faults, ImdsServer, Vm
from tests.clients.outages import OUTAGES, about, asked_at, begin, whole_second
from tests.clients.redirected import RESOURCE, claims, error, redirect

Ask = Callable[[], dict[str, Any]]

# It returns what the service says, and lets pass what is raised where that is no JSON.
RAISED: dict[str, type[Exception]] = {
    **dict.fromkeys(("refused", "reset", "empty"), requests.ConnectionError),
    "html": JSONDecodeError,
}
# How long a client repeats an error instead of asking: as long as Retry-After says, or 5 s.
KEPT_S = {"404": 0, "410": 0, "429": 5, "429-retry-after-1": 1, "500": 5, "503": 5}
# With the policy that its documentation proposes for a session. urllib3 asks again at once, then its waits double.
PATIENT = Retry(total=4, backoff_factor=1, status_forcelist=[404, 410, 429, 500, 503], raise_on_status=False)
DOUBLING = (0, 0, 2, 6, 14)
TIMES = dict.fromkeys(OUTAGES, DOUBLING) | {"429-retry-after-1": (0, 1, 2, 3, 4), "html": (0,)}


@pytest.fixture(autouse=True)
def _redirected(monkeypatch: pytest.MonkeyPatch, imds_server: ImdsServer) -> None:
    redirect(monkeypatch, imds_server)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """What msal asks through."""
    with requests.Session() as session:
        yield session


@pytest.fixture
def ask(session: requests.Session) -> Ask:
    """A client, asked for a token by each call."""
    client = ManagedIdentityClient(SystemAssignedManagedIdentity(), http_client=session)
    return partial(client.acquire_token_for_client, resource=RESOURCE)


def told(ask: Ask, outage: str) -> dict[str, Any] | None:
    """What a client returns in an outage, or None where it raises what was measured."""
    if outage not in RAISED:
        return ask()
    with pytest.raises(RAISED[outage]):
        ask()
    return None


@pytest.mark.parametrize("outage", OUTAGES)
def test_a_client_asks_once_and_tells_what_it_got(
    outage: str, ask: Ask, imds_faults: Faults, imds_clock: Clock
) -> None:
    begin(imds_faults, outage)
    began = imds_clock.monotonic()

    answer = told(ask, outage)

    assert len(imds_faults.fired) == 1
    assert imds_clock.monotonic() - began == about(0)
    said = OUTAGES[outage].error
    assert answer == (error(said) if said else None)


@pytest.mark.parametrize("outage", KEPT_S)
def test_a_client_repeats_an_error_for_a_while_without_asking(
    outage: str, ask: Ask, imds_faults: Faults, imds_clock: Clock
) -> None:
    begin(imds_faults, outage)
    whole_second(imds_clock)

    first = ask()
    if KEPT_S[outage]:
        imds_clock.advance(KEPT_S[outage] - 0.5)
        assert ask() == first
        assert len(imds_faults.fired) == 1
        imds_clock.advance(0.5)
    ask()

    assert asked_at(imds_faults) == about([0, KEPT_S[outage]])


@pytest.mark.imds_fault("throttled", requests=2)
def test_who_asks_a_client_again_and_again_waits_for_5_seconds_after_each_429(
    ask: Ask, imds_server: ImdsServer, imds_vm: Vm, imds_faults: Faults, imds_clock: Clock
) -> None:
    whole_second(imds_clock)
    began = imds_clock.monotonic()

    calls = 1
    while "access_token" not in (answer := ask()):
        imds_clock.sleep(1.5)
        calls += 1

    assert claims(imds_server, answer["access_token"])["oid"] == imds_vm.identities[0].object_id
    assert calls == 9
    assert asked_at(imds_faults) == about([0, 6])
    assert imds_clock.monotonic() - began == about(12)


@pytest.mark.parametrize("outage", OUTAGES)
def test_a_session_that_is_patient_makes_the_client_so(
    outage: str, session: requests.Session, ask: Ask, imds_faults: Faults, imds_clock: Clock
) -> None:
    session.mount("http://", HTTPAdapter(max_retries=PATIENT))
    begin(imds_faults, outage)

    told(ask, outage)

    assert asked_at(imds_faults) == about(list(TIMES[outage]))


@pytest.mark.imds_fault("blackhole")
@pytest.mark.usefixtures("imds_clock")
def test_the_time_out_of_the_session_ends_a_wait_for_nothing(
    session: requests.Session, ask: Ask, imds_faults: Faults
) -> None:
    session.request = partial(session.request, timeout=0.1)  # type: ignore[method-assign]

    with pytest.raises(requests.ReadTimeout):
        ask()

    assert len(imds_faults.fired) == 1
