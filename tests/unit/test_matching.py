"""What a test asserts of requests: which meet it, and what is said of those that do not."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_imds import ImdsUsageError
from pytest_imds.traffic.matching import SHOWN, Wanted, mismatch
from tests.every import every
from tests.exchanges import BEGAN, exchange

INSTANCE = exchange(1, "/metadata/instance?api-version=2021-02-01&format=json", 1.0)


@every(
    ("wanted", "meets"),
    [
        (Wanted("/metadata/instance"), True),
        (Wanted("/metadata/instance*"), True),
        (Wanted("*"), True),
        (Wanted("/metadata"), False),
        (Wanted("/metadata/Instance"), False),
        (Wanted("*", {"format": "json"}), True),
        (Wanted("*", {"format": "json", "api-version": "2021-02-01"}), True),
        (Wanted("*", {"format": "text"}), False),
        (Wanted("*", {"extended": "true"}), False),
        (Wanted("*", {"extended": None}), True),
        (Wanted("*", {"format": None}), False),
        (Wanted("*", since=BEGAN), True),
        (Wanted("*", since=BEGAN + timedelta(seconds=1)), True),
        (Wanted("*", since=BEGAN + timedelta(seconds=1.001)), False),
    ],
)
def test_a_request_is_meant_if_it_meets_every_condition(wanted: Wanted, meets: bool) -> None:
    assert wanted.meets(INSTANCE) is meets


def test_a_path_is_what_the_service_reads() -> None:
    assert Wanted("/metadata/instance").meets(exchange(1, "//Metadata//instance/"))


def test_each_condition_says_why_it_is_not_met() -> None:
    wanted = Wanted(
        "/metadata/versions", {"format": "text", "n": "1", "api-version": None}, BEGAN + timedelta(seconds=3)
    )
    assert {what: why for what, (met, why) in wanted.verdicts(INSTANCE).items() if not met} == {
        "path": "/metadata/instance is not /metadata/versions",
        "format": "json is not text",
        "n": "it is missing",
        "api-version": "it has api-version=2021-02-01",
        "since": "it came 2.000 s before",
    }


@every(
    ("times", "count", "told"),
    [
        (None, 1, None),
        (None, 3, None),
        (0, 0, None),
        (2, 2, None),
        (None, 0, "/metadata/instance was requested 0 times, expected once or more"),
        (1, 2, "/metadata/instance was requested 2 times, expected once"),
        (3, 1, "/metadata/instance was requested once, expected 3 times"),
        (0, 1, "/metadata/instance was requested once, expected 0 times"),
    ],
)
def test_so_many_have_to_be_there(times: int | None, count: int, told: str | None) -> None:
    exchanges = [exchange(number) for number in range(1, count + 1)]
    wrong = mismatch(Wanted("/metadata/instance"), times, exchanges, 0)
    assert (wrong and wrong.splitlines()[0]) == told


def test_the_nearest_are_shown_in_order_and_no_more_than_a_few() -> None:
    near = [exchange(number, f"/metadata/instance?n={number}") for number in range(1, 4)]
    far = [exchange(number, "/metadata/scheduledevents?n=1") for number in range(4, 12)]
    wrong = mismatch(Wanted("/metadata/instance", {"n": "9"}), None, [*far, *near], 0)
    assert wrong is not None
    shown = re.findall(r"^    #(\d+) ", wrong, re.MULTILINE)
    assert shown[:3] == ["1", "2", "3"]
    assert len(shown) == SHOWN
    assert "nearest of 11 requests:" in wrong


def test_what_meets_more_conditions_is_nearer_than_what_looks_alike() -> None:
    alike = [exchange(number, "/metadata/instance/comput?format=json") for number in range(1, 1 + SHOWN)]
    near = exchange(99, "/metadata/identity/info?format=text")
    wrong = mismatch(Wanted("/metadata/instance/compute", {"format": "text"}), None, [*alike, near], 0)
    assert "#99 " in str(wrong)


def test_one_too_many_is_shown_as_one() -> None:
    wrong = mismatch(Wanted("/metadata/instance"), 0, [exchange(7, status=None)], 0)
    assert wrong is not None
    assert wrong.splitlines()[2:] == [
        "    #7 GET /metadata/instance?api-version=2021-02-01 at 0.000 s: no reply",
        "      it is one",
    ]


def test_no_request_at_all_is_told() -> None:
    wrong = mismatch(Wanted("/metadata/instance"), None, [], 0)
    assert wrong is not None
    assert wrong.splitlines()[1:] == ["  no request has arrived"]


def test_requests_that_are_not_kept_leave_it_open() -> None:
    kept = [exchange(3, at_s=5.0)]
    wanted = Wanted("/metadata/instance")
    assert mismatch(wanted, None, kept, 2) is None
    for times in (0, 1):
        assert "2 earlier requests are not kept" in str(mismatch(wanted, times, kept, 2))
    since = Wanted("/metadata/instance", since=BEGAN + timedelta(seconds=6))
    assert mismatch(since, 0, kept, 2) is None


@every(
    ("arguments", "what"),
    [
        ({"path": "metadata/instance"}, "path cannot be 'metadata/instance'"),
        ({"path": None}, "path cannot be None"),
        ({"path": "/metadata/instance?api-version=2021-02-01"}, "query={"),
        ({"path": "*", "query": "a=1"}, "query cannot be 'a=1'"),
        ({"path": "*", "query": {"a": 1}}, "query cannot be {'a': 1}"),
        ({"path": "*", "since": 3.0}, "since cannot be 3.0"),
        ({"path": "*", "since": datetime(2026, 1, 1)}, "since cannot be datetime.datetime(2026, 1, 1, 0, 0)"),
    ],
)
def test_what_is_no_condition_is_refused(arguments: dict[str, Any], what: str) -> None:
    with pytest.raises(ImdsUsageError, match=re.escape(what)):
        Wanted(**arguments)


@every("times", [-1, True, "2", 1.0])
def test_what_is_no_number_of_times_is_refused(times: Any) -> None:
    with pytest.raises(ImdsUsageError, match="times cannot be"):
        mismatch(Wanted("*"), times, [], 0)


@given(
    numbers=st.lists(st.sampled_from(["/metadata/instance", "/metadata/versions?n=1", "/"]), max_size=12),
    times=st.none() | st.integers(0, 4),
)
def test_it_is_met_exactly_if_the_count_is_right(numbers: list[str], times: int | None) -> None:
    exchanges = [exchange(number, target) for number, target in enumerate(numbers, 1)]
    count = numbers.count("/metadata/instance")
    right = count >= 1 if times is None else count == times
    assert (mismatch(Wanted("/metadata/instance"), times, exchanges, 0) is None) is right
