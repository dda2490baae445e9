"""What a test may get wrong about faults, and what it is told."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pytest_imds import Fault, ImdsUsageError
from pytest_imds.faults.fault import takes
from pytest_imds.faults.kinds import KINDS
from tests.every import every
from tests.faulty import Faulty

# The terms that every fault takes.
TERMS: list[tuple[str, Any, str]] = [
    *(("path", wrong, "a glob of paths") for wrong in ("", "metadata", 1, b"/metadata")),
    *(("after", wrong, "a whole number, 0 or more") for wrong in (-1, 1.5, True, "1")),
    *(("times", wrong, "a whole number, 1 or more") for wrong in (0, -1, 1.5, True, "1")),
    *(("window", wrong, "seconds, more than 0") for wrong in (0, 0.0)),
    *(("window", wrong, "seconds, 0 or more") for wrong in (-1, True, "70", float("nan"), float("inf"))),
    ("window", 70_000_000_000, "not milliseconds"),
    *(("probability", wrong, "a number above 0, up to 1") for wrong in (0, -0.1, 1.1, 50, True, "0.5", float("nan"))),
    *(("required", wrong, "True or False") for wrong in (1, 0, "no")),
]
# What a fault takes of its own: the call, what is wrong, and what would be right.
OWN: list[tuple[Fault, str, str]] = [
    (Fault("server_error", 502), "status cannot be 502", "500 or 503"),
    (Fault("throttled", requests=2, times=2), "times cannot be 2", "left out, where requests says how many"),
    (Fault("throttled", requests=0), "requests cannot be 0", "a whole number, 1 or more"),
    (Fault("throttled", retry_after=-1), "retry_after cannot be -1", "0 or more"),
    (Fault("throttled", retry_after="7"), "retry_after cannot be '7'", "0 or more"),
    (Fault("throttled", retry_after=1.5), "retry_after cannot be 1.5", "a whole number, 0 or more"),
    (Fault("flapping", up=-1, down=1), "up cannot be -1", "seconds, 0 or more"),
    (Fault("flapping", up=1, down=0), "down cannot be 0", "seconds, more than 0"),
    (Fault("latency", -1), "seconds cannot be -1", "seconds, 0 or more"),
    (Fault("latency", 1, jitter="1"), "jitter cannot be '1'", "seconds, 0 or more"),
    (Fault("wrong_content", {"a": 1}), "body cannot be {'a': 1}", "text or bytes"),
    (Fault("wrong_content", "", 7), "content_type cannot be 7", "the value of a header, on one line"),
    (Fault("wrong_content", "", "a\r\nb: c"), r"content_type cannot be 'a\r\nb: c'", "the value of a header"),
    (Fault("wrong_content", "", "text/€"), "content_type cannot be 'text/€'", "the value of a header"),
    (Fault("reset", -1), "after_bytes cannot be -1", "a whole number, 0 or more"),
    (Fault("half_closed", 1.5), "after_bytes cannot be 1.5", "a whole number, 0 or more"),
    (Fault("truncated", -1), "bytes cannot be -1", "a whole number, 0 or more"),
    (Fault("truncated", True), "bytes cannot be True", "a whole number, 0 or more"),
    (Fault("dribble", 0), "chunks cannot be 0", "a whole number, 1 or more"),
    (Fault("dribble", over=-1), "over cannot be -1", "seconds, 0 or more"),
    (Fault("wrong_cloud", "asw"), "unknown cloud 'asw'", "did you mean 'aws'?"),
    (Fault("wrong_cloud", "firecracker"), "unknown cloud 'firecracker'", "known: aws, gcp"),
    (Fault("wrong_service", "aws"), "unknown service 'aws'", "known: captive-portal, docker-desktop, empty"),
    (Fault("wrong_service", None), "unknown service None", "known: captive-portal"),
]


def refused(fault: Fault) -> str:
    """Return what a test is told that plans a fault which cannot be planned."""
    faulty = Faulty()
    with pytest.raises(ImdsUsageError) as told:
        fault.plan(faulty.faults)
    assert (faulty.faults.planned, faulty.faults.idle(), faulty.changes) == (False, [], 0)
    return str(told.value)


@every(("term", "wrong", "right"), TERMS)
def test_a_term_has_a_value_that_it_can_have(term: str, wrong: Any, right: str) -> None:
    told = refused(Fault("server_error", **{term: wrong}))

    assert told.startswith(f"{term} cannot be {wrong!r}.\n  right: ")
    assert right in told


@every(("fault", "wrong", "right"), OWN)
def test_a_fault_takes_only_what_it_can_do(fault: Fault, wrong: str, right: str) -> None:
    told = refused(fault)

    assert told.startswith(f"{wrong}.\n")
    assert right in told


@every("name", KINDS)
def test_a_parameter_that_a_fault_does_not_have_is_refused_with_those_that_it_has(name: str) -> None:
    given: dict[str, Any] = {"flapping": {"up": 1, "down": 1}, "latency": {"seconds": 1}}.get(name, {})
    given |= {"service": "host"} if name == "wrong_service" else {}
    told = refused(Fault(name, **given, windows=70))

    assert told.startswith(f"unknown parameter of the fault {name} 'windows'.\n  did you mean 'window'?\n")
    assert {*given, "after", "required"} <= set(re.split("[ ,]+", told.rpartition("known: ")[2]))


@pytest.mark.parametrize("name", ["gon", "sequence", "clear", "_plan", "", 7, None])
def test_a_fault_has_a_name_that_exists(name: Any) -> None:
    with pytest.raises(ImdsUsageError, match=f"unknown fault {name!r}") as told:
        Fault(name)

    assert ("did you mean 'gone'?" in str(told.value)) == (name == "gon")
    assert ", ".join(sorted(KINDS)) in str(told.value)


@pytest.mark.parametrize(
    ("name", "given", "parameters"),
    [("gone", (70,), {}), ("latency", (), {}), ("flapping", (), {"up": 1}), ("latency", (1,), {"seconds": 1})],
    ids=str,
)
def test_a_call_that_a_fault_does_not_take_is_refused_where_it_is_written(
    name: str, given: tuple[Any, ...], parameters: dict[str, Any]
) -> None:
    with pytest.raises(ImdsUsageError) as told:
        Fault(name, *given, **parameters)

    assert str(told.value).startswith(f"what the fault {name} takes cannot be ")
    assert str(told.value).endswith(f"right: {takes(name)}")


def test_what_a_fault_takes_is_told_as_it_is_called() -> None:
    assert takes("server_error") == "server_error(status=500, *, path, after, times, window, probability, required)"
    assert takes("gone") == "gone(*, window=70, path, after, times, probability, required)"
    assert takes("flapping") == "flapping(*, up, down, path, after, times, window, probability, required)"


@pytest.mark.parametrize("name", ["refused", "connect_timeout"])
def test_a_fault_of_connections_is_not_said_to_take_a_path_or_a_chance(name: str) -> None:
    assert takes(name) == f"{name}(*, after, times, window, required)"


def test_a_fault_is_written_as_it_was_made() -> None:
    assert repr(Fault("gone", window=70)) == "gone(window=70)"
    assert repr(Fault("server_error", 503, path="*")) == "server_error(503, path='*')"
