"""What azure-identity does while something is wrong, as measured with 1.25.1 and 1.27.0; time is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, NamedTuple

import pytest
from azure.core.credentials import AccessTokenInfo
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError, ManagedIdentityCredential
from azure.identity.aio import ManagedIdentityCredential as AsyncManagedIdentityCredential

from pytest_imds import Clock, Faults, ImdsServer, Vm
from tests.clients.outages import OUTAGES, about, asked_at, begin, whole_second
from tests.clients.redirected import SCOPE, TOKEN_PATH, asked, claims, error, redirect

Ask = Callable[[], AccessTokenInfo]
Kind = Callable[..., AbstractContextManager[Ask]]

# When it asks, in seconds from the first time. The second time follows at once; then the waits double, from 1.6 s.
PATIENT = (0, 0, 1.6, 4.8, 11.2, 24)
# Three times more where no answer comes.
WITHOUT_ANSWER = PATIENT[:4]
TIMES = {
    **dict.fromkeys(("404", "429", "500", "503"), PATIENT),
    "410": (0, 0, 5, 15, 35, 75),
    "429-retry-after-1": (0, 1, 2, 3, 4, 5),
    **dict.fromkeys(("refused", "reset", "empty"), WITHOUT_ANSWER),
    "html": (0,),
}
# The asynchronous one asks through aiohttp, which sends a GET again at once when the connection has ended.
TWICE = ("reset", "empty")
# How long MSAL, in the synchronous one, repeats an error instead of asking, as long as Retry-After says or 5 s.
KEPT_S = {"404": 0, "410": 0, "429": 5, "429-retry-after-1": 1, "500": 5, "503": 5}
# What it says where there is no error of the service to be told: without an answer, and with one that is no JSON.
SAYS = {
    "sync": ("no response from the IMDS endpoint", "authentication unavailable."),
    "async": ("no response from the IMDS endpoint", "Unexpected content type"),
}


class Raised(NamedTuple):
    """What a credential raises."""

    error: type[Exception]
    message: str


@contextmanager
def asking(**options: Any) -> Iterator[Ask]:
    """A credential, asked for a token by each call."""
    with ManagedIdentityCredential(**options) as credential:
        yield lambda: credential.get_token_info(SCOPE)


@contextmanager
def asking_asynchronously(**options: Any) -> Iterator[Ask]:
    """The same, in an event loop."""
    with closing(asyncio.new_event_loop()) as loop:
        credential = AsyncManagedIdentityCredential(**options)
        try:
            yield lambda: loop.run_until_complete(credential.get_token_info(SCOPE))
        finally:
            loop.run_until_complete(credential.close())


KINDS: dict[str, Kind] = {"sync": asking, "async": asking_asynchronously}


@pytest.fixture(autouse=True)
def _redirected(monkeypatch: pytest.MonkeyPatch, imds_server: ImdsServer) -> None:
    redirect(monkeypatch, imds_server)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which kind of credential."""
    chosen: str = request.param
    return chosen


def failure(ask: Ask) -> Raised:
    """What a credential raises when it gets no token."""
    with pytest.raises(ClientAuthenticationError) as caught:
        ask()
    return Raised(caught.type, caught.value.message)


@pytest.mark.parametrize("outage", TIMES)
def test_a_credential_asks_as_often_as_measured_then_says_why_it_gives_up(
    kind: str, outage: str, imds_faults: Faults, imds_clock: Clock
) -> None:
    begin(imds_faults, outage)
    began = imds_clock.monotonic()

    with KINDS[kind]() as ask:
        raised = failure(ask)

    times = TIMES[outage]
    twice = 2 if kind == "async" and outage in TWICE else 1
    assert asked_at(imds_faults) == about([time for time in times for _ in range(twice)])
    assert imds_clock.monotonic() - began == about(times[-1])  # it does not wait after the last
    said = OUTAGES[outage].error
    # To the asynchronous one, a service that answers with an error is not unavailable.
    assert raised.error is (ClientAuthenticationError if kind == "async" and said else CredentialUnavailableError)
    assert (error(said)["error"] if said else SAYS[kind][outage == "html"]) in raised.message


@pytest.mark.parametrize("outage", KEPT_S)
def test_a_credential_repeats_an_error_for_a_while_without_asking(
    outage: str, imds_faults: Faults, imds_clock: Clock
) -> None:
    begin(imds_faults, outage)
    kept_s = KEPT_S[outage]
    whole_second(imds_clock)  # that is also when it gives up: after 5, 24 or 75 seconds

    with asking() as ask:
        first = failure(ask)
        before = len(imds_faults.fired)
        if kept_s:
            imds_clock.advance(kept_s - 0.5)
            assert failure(ask) == first
            assert len(imds_faults.fired) == before
            imds_clock.advance(0.5)
        failure(ask)

    assert asked_at(imds_faults, since=before) == about(TIMES[outage])


@pytest.mark.parametrize("outage", KEPT_S)
@pytest.mark.usefixtures("imds_clock")
def test_an_asynchronous_credential_keeps_no_error(outage: str, imds_faults: Faults) -> None:
    begin(imds_faults, outage)

    with asking_asynchronously() as ask:
        failure(ask)
        before = len(imds_faults.fired)
        failure(ask)

    assert asked_at(imds_faults, since=before) == about(TIMES[outage])


@pytest.mark.imds_fault("gone", window=70)
def test_a_credential_gets_its_token_when_the_host_has_been_serviced(
    kind: str, imds_server: ImdsServer, imds_vm: Vm, imds_clock: Clock
) -> None:
    began = imds_clock.monotonic()

    with KINDS[kind]() as ask:
        token = ask()

    assert claims(imds_server, token.token)["oid"] == imds_vm.identities[0].object_id
    assert [status for target, _, status in asked(imds_server) if target.startswith(TOKEN_PATH)] == [410] * 5 + [200]
    assert imds_clock.monotonic() - began == about(75)


@pytest.mark.imds_fault("throttled", requests=2, retry_after=10)
def test_a_credential_waits_for_as_long_as_it_is_told(kind: str, imds_faults: Faults, imds_clock: Clock) -> None:
    began = imds_clock.monotonic()

    with KINDS[kind]() as ask:
        ask()

    assert asked_at(imds_faults) == about([0, 10])
    assert imds_clock.monotonic() - began == about(20)


@pytest.mark.imds_fault("blackhole")
@pytest.mark.usefixtures("imds_clock")
def test_a_blocking_read_that_is_never_answered_takes_its_real_time_out(imds_faults: Faults) -> None:
    with asking(read_timeout=0.1) as ask:
        raised = failure(ask)

    assert raised.error is CredentialUnavailableError
    assert asked_at(imds_faults) == about([moment + 0.1 * n for n, moment in enumerate(WITHOUT_ANSWER)])


@pytest.mark.imds_fault("blackhole")
def test_the_read_time_out_of_the_asynchronous_credential_is_virtual(imds_faults: Faults, imds_clock: Clock) -> None:
    began = imds_clock.monotonic()

    with asking_asynchronously(read_timeout=30) as ask:
        raised = failure(ask)

    assert raised.error is CredentialUnavailableError
    assert asked_at(imds_faults) == about([moment + 30 * n for n, moment in enumerate(WITHOUT_ANSWER)])
    assert imds_clock.monotonic() - began == about(WITHOUT_ANSWER[-1] + 4 * 30)
