"""The service's time: how it is moved on, and what goes by it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from pytest_imds import AttestationTimeError, Fleet, ImdsServer, ImdsUsageError, data
from pytest_imds.clock import Clock, seconds_at_least
from pytest_imds.host import Host
from pytest_imds.service.handle import handle
from pytest_imds.service.message import Reply, Request
from pytest_imds.vm.provider import generate, generator
from tests import documents, hosts

DAY_S = 86400
TOKEN = "/metadata/identity/oauth2/token"
VALID_S: int = data.read("identity")["lifetime"]["valid_s"]


@pytest.fixture
def host() -> Iterator[Host]:
    made = hosts.host(generate(generator(), "linux", "clock", {}))
    yield made
    made.attestation.close()


def ask(host: Host, path: str, query: str) -> Reply:
    return handle(Request("GET", path, query, {"metadata": "true"}), host)


def asked(host: Host, path: str, query: str) -> Any:
    reply = ask(host, path, query)
    assert reply.status == 200, reply
    return json.loads(reply.body)


def date(host: Host) -> datetime:
    return parsedate_to_datetime(dict(ask(host, "/metadata/versions", "").headers)["Date"])


def token(host: Host, **parameters: str) -> dict[str, str]:
    query = "&".join(f"{name}={value}" for name, value in {"resource": "https://vault.azure.net", **parameters}.items())
    reply: dict[str, str] = asked(host, TOKEN, f"api-version=2018-02-01&{query}")
    return reply


def signed(host: Host) -> dict[str, Any]:
    """What an attested document says."""
    return documents.opened(asked(host, "/metadata/attested/document", "api-version=2021-02-01")).members


def test_a_new_clock_tells_the_time_of_the_machine() -> None:
    before, told, after = time.time(), Clock().time(), time.time()

    assert before <= told <= after


@pytest.mark.parametrize("seconds", [0, 1, 0.5, DAY_S, 365 * DAY_S])
def test_advance_moves_the_time_on_by_as_much(seconds: float) -> None:
    clock = Clock()
    clock.advance(seconds)
    before, told, after = time.time(), clock.time(), time.time()

    assert before <= told - seconds <= after or told - seconds == pytest.approx(before, abs=1e-6)


def test_what_was_advanced_adds_up() -> None:
    clock = Clock()
    for seconds in (100, 20, 3, 0.5):
        clock.advance(seconds)

    assert clock.time() - time.time() == pytest.approx(123.5, abs=1e-3)


def test_the_time_goes_on_by_itself() -> None:
    clock, began = Clock(), time.monotonic()
    clock.advance(1000)
    first = clock.time()
    while time.monotonic() == began:
        pass

    assert clock.time() > first


def test_now_is_the_time_in_utc() -> None:
    clock = Clock()
    clock.advance(1000)

    assert clock.now.tzinfo is timezone.utc
    assert clock.now.timestamp() == pytest.approx(clock.time(), abs=1)
    assert timedelta(seconds=999) < clock.now - datetime.now(timezone.utc) <= timedelta(seconds=1000)


def test_monotonic_goes_on_as_the_machine_s_and_by_what_was_advanced() -> None:
    clock = Clock()
    before, told, after = time.monotonic(), clock.monotonic(), time.monotonic()
    clock.advance(1000)

    assert before <= told <= after
    assert clock.monotonic() - time.monotonic() == pytest.approx(1000, abs=1e-3)


def test_sleep_is_a_real_one_while_time_is() -> None:
    clock, began = Clock(), time.monotonic()
    clock.advance(1000)
    clock.sleep(0.01)

    assert 0.01 <= time.monotonic() - began < 1
    assert clock.time() - time.time() == pytest.approx(1000, abs=1e-3)
    with pytest.raises(ValueError, match="non-negative"):
        clock.sleep(-1)


def test_a_second_is_reached_when_it_has_come_and_not_before() -> None:
    clock = Clock()
    second = clock.time() + 1000

    assert clock.reached(clock.time())
    assert not clock.reached(second)
    clock.advance(900)
    assert not clock.reached(second)
    clock.advance(100)
    assert clock.reached(second)


def test_clocks_are_moved_apart() -> None:
    one, other = Clock(), Clock()
    one.advance(1000)

    assert one.time() - other.time() == pytest.approx(1000, abs=1)


@pytest.mark.parametrize(
    "seconds",
    [-1, -1e-9, float("nan"), float("inf"), float("-inf"), "10", None, True, [1], timedelta(seconds=5), Decimal(5)],
    ids=repr,
)
def test_what_is_no_number_of_seconds_is_refused_and_moves_nothing(seconds: Any) -> None:
    clock = Clock()

    with pytest.raises(ImdsUsageError) as refused:
        clock.advance(seconds)

    assert str(refused.value) == f"advance() cannot be {seconds!r}.\n  right: seconds, 0 or more"
    assert refused.value.received is seconds
    assert clock.time() - time.time() <= 1e-3


# Milliseconds or nanoseconds in the place of seconds.
@pytest.mark.parametrize("seconds", [1e12, 1e18, 10**400], ids=["1e12", "1e18", "10**400"])
def test_a_time_that_no_date_can_tell_is_refused(host: Host, seconds: float) -> None:
    with pytest.raises(ImdsUsageError):
        host.clock.advance(seconds)

    assert date(host).year < 9999


def test_many_small_steps_do_not_lead_further_than_one(host: Host) -> None:
    def step_on() -> None:
        for _ in range(100):
            host.clock.advance(100 * 365 * DAY_S)

    with pytest.raises(ImdsUsageError, match="beyond the year 9000"):
        step_on()

    assert 8800 < date(host).year < 9000


def test_a_server_of_a_fleet_has_no_time_of_its_own() -> None:
    with pytest.raises(ImdsUsageError, match="lives in the fleet's time"):
        ImdsServer(fleet=Fleet(), clock=Clock())


@pytest.mark.parametrize("value", [0, 0.0, 5, 5.5])
def test_seconds_are_given_back_as_they_are(value: float) -> None:
    given = seconds_at_least("notice_s", value, 0)

    assert (given, type(given)) == (value, type(value))


def test_the_least_number_of_seconds_is_part_of_the_message() -> None:
    assert seconds_at_least("duration_s", -1, -1) == -1
    with pytest.raises(ImdsUsageError, match=r"^duration_s cannot be -2\.\n  right: seconds, -1 or more$"):
        seconds_at_least("duration_s", -2, -1)


def test_replies_are_of_the_services_time(host: Host) -> None:
    first = date(host)
    host.clock.advance(100 * DAY_S)

    assert timedelta(days=100) <= date(host) - first <= timedelta(days=100, seconds=5)


def test_a_token_grows_old_with_the_service(host: Host) -> None:
    first = token(host)
    host.clock.advance(1000)
    second = token(host)

    assert second["access_token"] == first["access_token"]
    assert second["expires_on"] == first["expires_on"]
    assert 1000 <= int(first["expires_in"]) - int(second["expires_in"]) <= 1005


def test_a_token_that_has_expired_is_replaced(host: Host) -> None:
    first = token(host)
    host.clock.advance(VALID_S)
    second = token(host)

    assert second["access_token"] != first["access_token"]
    assert second["expires_in"] == str(VALID_S)
    assert VALID_S <= int(second["not_before"]) - int(first["not_before"]) <= VALID_S + 5


def test_a_token_past_the_cache_is_issued_in_the_services_time(host: Host) -> None:
    first = token(host)
    host.clock.advance(1000)
    second = token(host, bypass_cache="true")

    assert second["access_token"] != first["access_token"]
    assert second["expires_in"] == str(VALID_S)
    assert 1000 <= int(second["expires_on"]) - int(first["expires_on"]) <= 1005


def test_the_refusal_of_a_resource_has_the_services_time(host: Host) -> None:
    host.identity.unknown_resource("https://nobody.example")
    host.clock.advance(400 * DAY_S)

    reply = ask(host, TOKEN, "api-version=2018-02-01&resource=https://nobody.example")
    day = datetime.fromtimestamp(host.clock.time(), timezone.utc)
    assert f"{day:%Y-%m-%d}" in reply.body.decode()


def test_attested_documents_are_of_the_services_time(host: Host) -> None:
    def created() -> datetime:
        return datetime.strptime(signed(host)["timeStamp"]["createdOn"], "%m/%d/%y %H:%M:%S %z")

    first = created()
    host.clock.advance(10 * DAY_S)

    assert timedelta(days=10) <= created() - first <= timedelta(days=10, seconds=5)


def test_the_verifier_goes_by_the_services_time(host: Host) -> None:
    document = asked(host, "/metadata/attested/document", "api-version=2021-02-01&nonce=1234567890")
    assert host.attestation.verify(document, nonce="1234567890")["nonce"] == "1234567890"

    host.clock.advance(DAY_S)
    with pytest.raises(AttestationTimeError):
        host.attestation.verify(document, nonce="1234567890")


def test_documents_are_good_years_later(host: Host) -> None:
    for _ in range(3):
        host.clock.advance(4 * 365 * DAY_S)
        document = asked(host, "/metadata/attested/document", "api-version=2021-02-01&nonce=1234567890")
        assert host.attestation.verify(document, nonce="1234567890")["nonce"] == "1234567890"


def test_scheduled_events_go_by_the_services_time(host: Host) -> None:
    host.clock.advance(50 * DAY_S)
    event = host.events.schedule("Freeze")
    states = [event.status]
    for seconds in (890, 10, 290, 10):
        host.clock.advance(seconds)
        states.append(event.status)

    assert event.not_before.timestamp() - time.time() == pytest.approx(50 * DAY_S + 900, abs=5)
    assert states == ["Scheduled", "Scheduled", "Started", "Started", "Completed"]
