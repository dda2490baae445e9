"""Forged contents: what is signed says something else."""

from __future__ import annotations

from collections.abc import Callable

from pytest_imds import data
from pytest_imds.tree import Json
from pytest_imds.trust import content
from pytest_imds.trust.alteration import Alteration, Wanted

HOUR = 3_600
DAY = 24 * HOUR
OTHER_NONCES = ("1029384756", "5647382910")


def changed(**values: Json | None) -> Alteration:
    """Set members; those that are None are left out."""

    def alter(members: dict[str, Json], wanted: Wanted) -> dict[str, Json]:
        return {name: value for name, value in {**members, **values}.items() if value is not None}

    return Alteration(members=alter)


def times(created: int, expires: int) -> Alteration:
    """Date a document, in seconds from now."""
    return Alteration(
        members=lambda members, wanted: {
            **members,
            "timeStamp": content.time_stamp(wanted.created + created, wanted.created + expires),
        }
    )


def other_guid(guid: object) -> str:
    """Return a GUID that differs from ``guid`` in its first digit."""
    text = str(guid)
    return ("1" if text[:1] != "1" else "2") + text[1:]


def other(member: str) -> Alteration:
    """Put another GUID into a member, if the document has it."""
    return Alteration(
        members=lambda members, wanted: {
            name: other_guid(value) if name == member else value for name, value in members.items()
        }
    )


def nonce(other: Callable[[Wanted], str]) -> Alteration:
    """Put another nonce into the document."""
    return Alteration(members=lambda members, wanted: {**members, "nonce": other(wanted)})


def other_nonce(wanted: Wanted) -> str:
    """Return a nonce that the request had not."""
    return next(nonce for nonce in OTHER_NONCES if nonce != wanted.nonce)


def ignored(wanted: Wanted) -> str:
    """Return the nonce of a document whose request's nonce was ignored."""
    # A request without a nonce gets the expiry; the time now, which documentation promises, is as wrong there.
    return content.default_nonce(wanted.created + (content.lifetime() if wanted.nonce else 0))


def replayed(members: dict[str, Json], wanted: Wanted) -> dict[str, Json]:
    """Return the members of the document that another request got an hour before."""
    then = wanted.created - HOUR
    expires = then + content.lifetime()
    return {**members, "nonce": other_nonce(wanted), "timeStamp": content.time_stamp(then, expires)}


def licensed(members: dict[str, Json], wanted: Wanted) -> dict[str, Json]:
    """Return members that say that a licence was brought, another one if one was."""
    if "licenseType" not in members:
        return members
    return {**members, "licenseType": "Windows_Server" if members["licenseType"] == "" else ""}


def old(members: dict[str, Json], wanted: Wanted) -> dict[str, Json]:
    """Return the members that the oldest api-version has."""
    since = data.read("attested")["members"]["since"]
    return {name: value for name, value in members.items() if since[name] == min(since.values())}


def tampered(text: bytes) -> bytes:
    """Return the text with another first digit of the vmId."""
    place = text.index(b'"vmId":"') + len(b'"vmId":"')
    return text[:place] + (b"1" if text[place : place + 1] != b"1" else b"2") + text[place + 1 :]
