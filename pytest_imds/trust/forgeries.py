"""The forgeries there are: what is wrong with each, and what a verifier must check to see it.

How each is made is in ``forging``; this room is cheap to import, so that tests
can be parametrised with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pytest_imds import data
from pytest_imds.errors import ImdsUsageError


@dataclass(frozen=True)
class Forgery:
    """An attested document that is wrong in one respect.

    Attributes:
        name: what it is called.
        why: what is wrong with it.
        must_check: what a verifier must check to see that, one of ``CHECKS``.
        reference: the incident, the verifier or the standard that it comes from.
    """

    name: str
    why: str
    must_check: str
    reference: str

    def __str__(self) -> str:
        return self.name


CHECKS: Mapping[str, str] = MappingProxyType(data.read("forgeries")["checks"])
"""What a verifier must check: the name that forgeries and errors use, and a sentence."""

FORGERIES: Mapping[str, Forgery] = MappingProxyType(
    {
        name: Forgery(name, row["why"], row["must_check"], row["reference"])
        for name, row in data.read("forgeries")["forgeries"].items()
    }
)
"""Every forgery by its name."""


def forgery(wanted: Forgery | str) -> Forgery:
    """Return the forgery that is called ``wanted``.

    Raises:
        ImdsUsageError: there is none.
    """
    name: object = wanted.name if isinstance(wanted, Forgery) else wanted
    if not isinstance(name, str) or name not in FORGERIES:
        raise ImdsUsageError.unknown("forgery", wanted, FORGERIES)
    return FORGERIES[name]


def chosen(only: object = None, skip: object = None) -> list[Forgery]:
    """Return the forgeries that the marker ``imds_forgeries`` asks for.

    Args:
        only: names of forgeries or of checks; None is all of them.
        skip: names of forgeries or of checks that are left out; None is none.

    Raises:
        ImdsUsageError: one of them is neither, or none is left.
    """
    wanted, unwanted = _names(only, "only"), _names(skip, "skip")
    left = [
        one
        for name, one in FORGERIES.items()
        if (only is None or {name, one.must_check} & wanted) and not {name, one.must_check} & unwanted
    ]
    if not left:
        raise ImdsUsageError.wrong_value("only and skip", (only, skip), "names that leave a forgery to test with")
    return left


def _names(given: object, argument: str) -> set[str]:
    names = [given] if isinstance(given, str) else given
    if names is None:
        return set()
    if not isinstance(names, (list, tuple, set, frozenset)):
        raise ImdsUsageError.wrong_value(argument, given, "the name of a forgery or of a check, or a list of them")
    for name in names:
        if not isinstance(name, str) or (name not in FORGERIES and name not in CHECKS):
            raise ImdsUsageError.unknown("forgery or check", name, [*FORGERIES, *CHECKS])
    return set(names)
