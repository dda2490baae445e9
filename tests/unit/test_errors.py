"""What the exceptions say, and that they survive the way from a worker of pytest-xdist."""

from __future__ import annotations

import pickle

import pytest

from pytest_imds import ImdsError, ImdsPortError, ImdsServerError, ImdsUsageError
from pytest_imds.tree import walk


def test_unknown_names_what_was_received_the_nearest_and_what_is_known() -> None:
    error = ImdsUsageError.unknown("VM profile", "linus", ["windows", "linux"], "see the list")

    assert str(error) == (
        "unknown VM profile 'linus'.\n  did you mean 'linux'?\n  known: linux, windows\n  see the list"
    )


def test_unknown_names_no_nearest_where_nothing_is_near() -> None:
    assert str(ImdsUsageError.unknown("knob", "qqq", ["zone"])) == "unknown knob 'qqq'.\n  known: zone"


def test_unknown_takes_what_is_no_string() -> None:
    assert str(ImdsUsageError.unknown("zone", 1, ["2"])).startswith("unknown zone 1.")


def test_wrong_value_names_what_was_received_and_what_is_right() -> None:
    error = ImdsUsageError.wrong_value("the knob nics", "2", "how many (int)")

    assert str(error) == "the knob nics cannot be '2'.\n  right: how many (int)"


def test_impossible_vm_names_the_problem_and_both_ways_out() -> None:
    message = str(ImdsUsageError.impossible_vm("no size allows 65 data disks.", "ask for less"))

    assert message.startswith("no size allows 65 data disks.\n  ask for less\n")
    assert "assign the attribute" in message
    assert "vm.override()" in message


def test_taken_port_names_the_port_and_how_to_get_another() -> None:
    message = str(ImdsPortError.taken(8080))

    assert "127.0.0.1:8080" in message
    assert "to get a free one" in message


@pytest.mark.parametrize(
    "error",
    [
        ImdsError("anything"),
        ImdsUsageError.unknown("VM profile", "linus", ["linux"]),
        ImdsUsageError.wrong_value("the knob nics", 0, "at least 1"),
        ImdsUsageError.impossible_vm("a problem", "a way out"),
        ImdsPortError.taken(8080),
        ImdsServerError.during_test([(ValueError("wrong"), ["GET /a"]), ("told in words", [])]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_survives_pickling(error: ImdsError) -> None:
    copy = pickle.loads(pickle.dumps(error))

    assert (type(copy), str(copy)) == (type(error), str(error))


@pytest.mark.parametrize(
    ("error", "kinds"),
    [
        (ImdsUsageError, (ImdsError, ValueError)),
        (ImdsPortError, (ImdsError, OSError)),
        (ImdsServerError, (ImdsError, AssertionError)),
    ],
)
def test_an_exception_is_caught_as_ours_and_as_pythons(error: type[ImdsError], kinds: tuple[type, ...]) -> None:
    assert issubclass(error, kinds[0])
    assert issubclass(error, kinds[1])


class Users(dict[str, str]):
    """What a test hands to us, and what fails when we call it."""

    def get(self, *args: object) -> str:
        raise LookupError("out of order")


def raised_inside(node: object, segments: object) -> Exception:
    """An exception whose traceback begins in a frame of ours, as in the server's threads."""
    with pytest.raises((LookupError, TypeError)) as caught:
        walk(node, segments)  # type: ignore[arg-type]
    return caught.value.with_traceback(caught.tb.tb_next)


def test_server_error_tells_every_problem_with_its_requests_in_order() -> None:
    problems: list[tuple[BaseException | str, list[str]]] = [
        (ValueError("first"), ["GET /a"]),
        ("second, in words", []),
        (KeyError("third"), ["POST /b?c=d", "GET /e"]),
    ]
    message = str(ImdsServerError.during_test(problems))

    assert message.startswith("3 problems inside the IMDS server during this test:\n\n1. while it answered GET /a:\n")
    assert "ValueError: first\n\n2. second, in words\n\n3. while it answered POST /b?c=d, GET /e:\n" in message
    assert message.endswith("KeyError: 'third'")


def test_server_error_counts_a_single_problem_in_the_singular() -> None:
    assert str(ImdsServerError.during_test([("one", [])])) == (
        "1 problem inside the IMDS server during this test:\n\n1. one"
    )


def test_server_error_shows_the_traceback_from_the_users_code_on() -> None:
    message = str(ImdsServerError.during_test([(raised_inside(Users(), ["a"]), ["GET /a"])]))

    assert "LookupError: out of order" in message
    assert message.count("  File ") == 1
    assert 'test_errors.py", line ' in message
    assert "tree.py" not in message


def test_server_error_shows_all_of_a_traceback_that_never_leaves_our_code() -> None:
    message = str(ImdsServerError.during_test([(raised_inside({}, 1), [])]))

    assert "TypeError: 'int' object is not iterable" in message
    assert 'tree.py", line ' in message
