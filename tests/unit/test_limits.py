"""How many requests the service answers, and how it refuses the rest."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_imds import Identity, data
from pytest_imds.faults.effects import Altered
from pytest_imds.host import Host
from pytest_imds.limits import WINDOW_S, Limits
from pytest_imds.service.handle import handle
from pytest_imds.service.message import Request
from tests import documents, hosts
from tests.rows import assert_is

ERRORS: dict[str, Any] = data.read("errors")
KNOWN: dict[str, Any] = data.read("behaviour")["rate-limits"]
INSTANCE, INFO = "instance", "identity/info"
GOOD = Request("GET", "/metadata/instance", "api-version=2021-02-01", {"metadata": "true"})
TOKEN = replace(GOOD, path="/metadata/identity/oauth2/token", query=f"{GOOD.query}&resource=r")


@pytest.fixture
def limits() -> Limits:
    return Limits(Lock())


@pytest.fixture
def host(limits: Limits) -> Iterator[Host]:
    made = hosts.host(documents.vm())
    made.limits = limits
    yield made
    made.attestation.close()


def admitted(limits: Limits, path: str, *seconds: float) -> list[bool]:
    """Return whether requests at these times are answered."""
    return [limits.admits(path, 1, second) for second in seconds]


def statuses(host: Host, request: Request, count: int) -> list[int]:
    return [handle(request, host).status for _ in range(count)]


@pytest.mark.parametrize(("path", "per_s"), [(INSTANCE, 5), ("", 5), ("identity/oauth2/token", 20), (INFO, 20)])
def test_so_many_requests_a_second_are_answered(limits: Limits, path: str, per_s: int) -> None:
    assert admitted(limits, path, *[100.0] * (per_s + 2)) == [True] * per_s + [False] * 2


def test_the_limits_are_those_of_the_data() -> None:
    assert (KNOWN["other_per_s"], KNOWN["identity_per_s"], KNOWN["identity_at_once"]) == (5, 20, 5)


def test_all_but_identity_count_together(limits: Limits) -> None:
    for path in (INSTANCE, "attested/document", "scheduledevents", "loadbalancer", "versions"):
        assert admitted(limits, path, 100) == [True]

    assert admitted(limits, INSTANCE, 100) == [False]


def test_identity_counts_apart(limits: Limits) -> None:
    assert all(admitted(limits, INFO, *[100.0] * 20))
    assert all(admitted(limits, INSTANCE, *[100.0] * 5))


def test_the_paths_of_identity_count_together(limits: Limits) -> None:
    assert all(admitted(limits, INFO, *[100.0] * 10))
    assert admitted(limits, "identity/oauth2/token", *[100.0] * 11) == [True] * 10 + [False]


def test_the_second_slides(limits: Limits) -> None:
    assert all(admitted(limits, INSTANCE, 100, 100.25, 100.5, 100.75, 100.75))
    assert admitted(limits, INSTANCE, 100.9, 101, 101.125, 101.25, 101.25) == [False, True, False, True, False]


def test_requests_that_are_refused_do_not_count(limits: Limits) -> None:
    admitted(limits, INSTANCE, *[100.0] * 5)
    admitted(limits, INSTANCE, *[100.5] * 50)

    assert admitted(limits, INSTANCE, *[101.0] * 6) == [True] * 5 + [False]


@pytest.mark.parametrize(("at_once", "answered"), [(1, True), (5, True), (6, False)])
def test_identity_answers_five_at_once(limits: Limits, at_once: int, answered: bool) -> None:
    assert limits.admits(INFO, at_once, 100) == answered


def test_others_are_not_limited_by_how_many_are_answered_at_once(limits: Limits) -> None:
    assert limits.admits(INSTANCE, 6, 100)


def test_who_is_refused_for_being_one_too_many_does_not_count(limits: Limits) -> None:
    assert not any(limits.admits(INFO, 6, 100) for _ in range(30))
    assert all(admitted(limits, INFO, *[100.0] * 20))


# Steps of which several fit in a second, and that floats hold exactly.
PAUSES = st.lists(st.integers(0, 48).map(lambda step: step / 32), max_size=60)


@given(PAUSES)
def test_never_are_more_answered_in_a_second_and_never_fewer_than_could_be(pauses: list[float]) -> None:
    limits, now, answered = Limits(Lock()), 100.0, list[float]()
    for pause in pauses:
        now += pause
        of_last_second = [one for one in answered if one > now - WINDOW_S]
        assert limits.admits(INSTANCE, 1, now) == (len(of_last_second) < KNOWN["other_per_s"])
        answered += [now] if len(of_last_second) < KNOWN["other_per_s"] else []


def test_threads_get_exactly_as_many_answers(limits: Limits) -> None:
    with ThreadPoolExecutor(4) as pool:
        answered = list(pool.map(lambda _: limits.admits(INFO, 1, 100), range(200)))

    assert sum(answered) == 20


def test_without_limits_every_request_is_answered(host: Host) -> None:
    host.limits = None

    assert set(statuses(host, GOOD, 50)) == {200}


def test_the_service_answers_five_and_refuses_the_sixth(host: Host) -> None:
    assert statuses(host, GOOD, 7) == [200] * 5 + [429] * 2


def test_a_second_later_on_the_host_s_clock_it_answers_again(host: Host) -> None:
    statuses(host, GOOD, 6)
    host.clock.advance(1)

    assert statuses(host, GOOD, 6) == [200] * 5 + [429]


def test_the_service_answers_twenty_tokens(host: Host) -> None:
    assert statuses(host, TOKEN, 21) == [200] * 20 + [429]
    assert handle(GOOD, host).status == 200


def test_the_service_refuses_the_sixth_token_at_once(host: Host) -> None:
    assert handle(replace(TOKEN, at_once=5), host).status == 200
    assert_is(handle(replace(TOKEN, at_once=6), host), ERRORS["throttled"])


@pytest.mark.parametrize(
    "wrong",
    [
        replace(GOOD, headers={}),
        replace(GOOD, query=""),
        replace(GOOD, method="POST"),
        replace(GOOD, path="/metadata/nothing"),
        replace(GOOD, path="/elsewhere"),
        replace(GOOD, method="HEAD"),
    ],
    ids=lambda request: f"{request.line} {dict(request.headers)}",
)
def test_what_is_refused_for_its_form_does_not_count_and_is_told_so_still(host: Host, wrong: Request) -> None:
    as_ever = statuses(host, wrong, 10)
    assert statuses(host, GOOD, 6) == [200] * 5 + [429]

    assert {*as_ever, *statuses(host, wrong, 1)} == {as_ever[0]}
    assert as_ever[0] in (400, 404, 405)


def test_an_answer_that_is_an_error_counts(host: Host) -> None:
    host.vm.identities = [Identity("c", "o", "r"), Identity("d", "p", "s")]

    assert statuses(host, TOKEN, 21) == [400] * 20 + [429]


def test_what_is_altered_on_the_way_counts_once(host: Host) -> None:
    effect = Altered(lambda request: request)

    answers = [effect.reply(GOOD, host).status for _ in range(6)]
    assert answers == [200] * 5 + [429]


@pytest.mark.parametrize(
    ("path", "form", "error"),
    [
        (INSTANCE, "", "throttled"),
        (INSTANCE, "json", "throttled"),
        (INSTANCE, "text", "throttled-text"),
        ("instance/compute/vmId", "text", "throttled-text"),
        ("loadbalancer", "", "loadbalancer-throttled"),
        ("versions", "", "throttled"),
    ],
)
def test_429_has_the_body_that_belongs_there(host: Host, path: str, form: str, error: str) -> None:
    statuses(host, GOOD, 5)
    query = f"{GOOD.query}&format={form}" if form else GOOD.query
    refused = handle(replace(GOOD, path=f"/metadata/{path}", query=query), host)

    assert_is(refused, ERRORS[error])
    assert "Retry-After" not in dict(refused.headers)
