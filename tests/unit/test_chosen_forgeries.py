"""Which forgeries the marker ``imds_forgeries`` asks for."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_imds import CHECKS, FORGERIES, ImdsUsageError
from pytest_imds.trust.forgeries import chosen


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, list(FORGERIES)),
        ({"only": "sha1"}, ["sha1"]),
        ({"only": ["replayed", "sha1"]}, ["sha1", "replayed"]),
        ({"only": ("digest",)}, ["sha1", "unknown-digest"]),
        ({"only": {"digest"}, "skip": frozenset({"sha1"})}, ["unknown-digest"]),
        ({"only": "digest", "skip": "sha1"}, ["unknown-digest"]),
        ({"only": "sha1", "skip": []}, ["sha1"]),
        ({"skip": ["sha1", "nonce"]}, [n for n, f in FORGERIES.items() if n != "sha1" and f.must_check != "nonce"]),
    ],
    ids=str,
)
def test_forgeries_are_chosen_by_name_and_by_check(asked: dict[str, Any], expected: list[str]) -> None:
    assert [forgery.name for forgery in chosen(**asked)] == expected


def test_no_name_is_both_a_forgery_s_and_a_check_s() -> None:
    assert FORGERIES.keys() & CHECKS.keys() == set()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"only": "sha-1"}, r"unknown forgery or check 'sha-1'(?s:.)*did you mean 'sha1'(?s:.)*known: .*nonce.*sha1"),
        ({"skip": ["sha1", "nonces"]}, r"unknown forgery or check 'nonces'(?s:.)*did you mean '.*nonce.*'"),
        ({"only": 5}, r"only cannot be 5(?s:.)*right: the name of a forgery or of a check, or a list of them"),
        ({"skip": {"sha1": True}}, r"skip cannot be \{'sha1': True\}(?s:.)*right: "),
        ({"only": [5]}, r"unknown forgery or check 5"),
        ({"only": [["sha1"]]}, r"unknown forgery or check \['sha1'\]"),
        ({"only": []}, r"only and skip cannot be \(\[\], None\)(?s:.)*names that leave a forgery"),
        ({"only": "sha1", "skip": "digest"}, r"only and skip cannot be \('sha1', 'digest'\)"),
    ],
    ids=str,
)
def test_a_choice_that_there_is_not_is_refused_with_what_there_is(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(ImdsUsageError, match=told):
        chosen(**asked)
