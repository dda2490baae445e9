"""The decorator that checks rows of data in one test."""

from __future__ import annotations

import inspect

import pytest

from tests.every import every


def test_every_row_is_checked_together_with_the_fixtures() -> None:
    seen = []

    @every("left", [1, 2])
    @every(("right", "third"), [(3, 4), (5, 6)])
    def check(left: int, right: int, third: int, fixture: str) -> None:
        seen.append((left, right, third, fixture))

    assert list(inspect.signature(check).parameters) == ["fixture"]
    check(fixture="given")
    assert seen == [(1, 3, 4, "given"), (1, 5, 6, "given"), (2, 3, 4, "given"), (2, 5, 6, "given")]


def test_all_rows_that_are_wrong_are_told() -> None:
    @every("divisor", [0, 1, "x", 3])
    def check(divisor: int) -> None:
        assert 6 / divisor == 6

    with pytest.raises(AssertionError, match=r"^3 of 4 rows") as caught:
        check()
    assert [line.split(": ")[:3] for line in str(caught.value).splitlines()[1:] if line.startswith("{")] == [
        ["{'divisor'", "0}", "ZeroDivisionError"],
        ["{'divisor'", "'x'}", "TypeError"],
        ["{'divisor'", "3}", "AssertionError"],
    ]
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_row_is_wrong_that_does_not_raise_what_it_should() -> None:
    @every("number", [1])
    def check(number: int) -> None:
        with pytest.raises(ValueError, match="never"):
            int(number)

    with pytest.raises(AssertionError, match="DID NOT RAISE"):
        check()


def test_a_test_checks_something_and_takes_what_it_is_given() -> None:
    def check(number: int) -> None:
        raise NotImplementedError

    with pytest.raises(AssertionError, match="no row"):
        every("number", [])(check)
    with pytest.raises(AssertionError, match="a row is no"):
        every("number", [pytest.param(1, id="one")])(check)
    with pytest.raises(AssertionError, match="does not take"):
        every("nmber", [1])(check)
