"""What an attested document says: a JSON object about a VM, at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from pytest_imds import data
from pytest_imds.errors import ImdsUsageError
from pytest_imds.tree import Json, compact
from pytest_imds.vm.model import Vm
from pytest_imds.vm.projection import view

# What a test may say in place of the VM, and the member that it becomes.
KEYWORDS = {
    "license_type": "licenseType",
    "plan": "plan",
    "sku": "sku",
    "subscription_id": "subscriptionId",
    "vm_id": "vmId",
}
Members = Mapping[str, Json]


def _fact(name: str) -> dict[str, Any]:
    fact: dict[str, Any] = data.read("attested")[name]
    return fact


def is_nonce(nonce: str) -> bool:
    """Whether the service signs ``nonce``.

    Source: ``nonce`` in ``fixtures_data/attested.json``.
    """
    return re.fullmatch(_fact("nonce")["pattern"], nonce, re.ASCII) is not None


def check_nonce(nonce: object) -> None:
    """Raise unless ``nonce`` is None or one that the service signs.

    Raises:
        ImdsUsageError: it is neither.
    """
    if nonce is not None and not (isinstance(nonce, str) and is_nonce(nonce)):
        raise ImdsUsageError.wrong_value("the nonce", nonce, "1 to 32 letters, digits, - and _; or None for none")


def time_stamp(created: int, expires: int) -> dict[str, Json]:
    """Return ``timeStamp``, from seconds since the epoch."""
    return {"createdOn": _written(created, "times"), "expiresOn": _written(expires, "times")}


def default_nonce(expires: int) -> str:
    """Return the nonce of a document whose request had none."""
    return _written(expires, "nonce-default")


def lifetime() -> int:
    """Return for how long a document is valid, in seconds."""
    seconds: int = _fact("lifetime")["seconds"]
    return seconds


def seconds(stamp: object) -> int:
    """Return what ``createdOn`` or ``expiresOn`` says, in seconds since the epoch.

    Raises:
        ValueError: it is no such time.
    """
    when = datetime.strptime(str(stamp), _fact("times")["format"]).replace(tzinfo=timezone.utc)
    return int(when.timestamp())


def changed(payload: Mapping[str, Any], others: Iterable[str]) -> dict[str, Json]:
    """Return the members that a test's ``payload`` stands for.

    Args:
        payload: the keywords and the values.
        others: what else the test might have said.

    Raises:
        ImdsUsageError: there is no such keyword, or a value is nothing that JSON can say.
    """
    for keyword, value in payload.items():
        if keyword not in KEYWORDS:
            raise ImdsUsageError.unknown("argument of a document", keyword, [*KEYWORDS, *others])
        try:
            compact(value)
        except (TypeError, ValueError):
            raise ImdsUsageError.wrong_value(keyword, value, "what JSON can say: a str, a dict ...") from None
    return {KEYWORDS[keyword]: value for keyword, value in payload.items()}


def members(vm: Vm, version: str, nonce: str | None, created: int, expires: int | None = None) -> dict[str, Json]:
    """Return the members of the document of ``vm`` in an api-version.

    Source: ``members``, ``classic``, ``times``, ``lifetime`` and
    ``nonce-default`` in ``fixtures_data/attested.json``.

    Args:
        vm: the VM.
        version: the api-version of the request.
        nonce: the nonce of the request; None if it had none.
        created: seconds since the epoch.
        expires: seconds since the epoch; None is the service's lifetime later.
    """
    newest = data.read("api_versions")["versions"][-1]["version"]
    compute = replace(view(vm, newest), hidden=frozenset()).document()["compute"]
    expires = created + lifetime() if expires is None else expires
    values = {
        **compute,  # type: ignore[dict-item]  # an object
        "nonce": default_nonce(expires) if nonce is None else nonce,
        "timeStamp": time_stamp(created, expires),
    }
    since = _fact("members")["since"]
    shown = [name for name in since if since[name] <= version]
    return {name: values[name] for name in shown if not vm.classic or name in _fact("classic")["members"]}


def written(content: Members) -> bytes:
    """Return the bytes that are signed.

    Source: ``content`` in ``fixtures_data/attested.json``.
    """
    return compact(dict(sorted(content.items()))).encode()


def _written(second: int, fact: str) -> str:
    return datetime.fromtimestamp(second, timezone.utc).strftime(_fact(fact)["format"])
