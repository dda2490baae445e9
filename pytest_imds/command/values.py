"""What options of the command line say, as values that the library takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from pytest_imds.errors import ImdsUsageError
from pytest_imds.faults.fault import Planned, planned
from pytest_imds.vm.profiles import Knobs

Types = tuple[type, ...]
# A value may have commas of its own: one ends it only if another parameter follows.
NEXT_PARAMETER = re.compile(r",(?=\w+=)")


def knobs() -> dict[str, Types]:
    """Return the knobs, and the types that each takes."""
    return {knob.name: knob.metadata["accepts"] for knob in fields(Knobs)}


def settings(assignments: Iterable[str], takes: Mapping[str, Types]) -> dict[str, Any]:
    """Return what ``--set`` says, by name.

    A value is JSON if that is of a type that is taken, else text: ``chain=2026`` is the text that names a chain.

    Args:
        assignments: each of the form ``NAME=VALUE``.
        takes: what can be set, and the types that each takes.

    Raises:
        ImdsUsageError: one has another form, or names what cannot be set.
    """
    given = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ImdsUsageError.wrong_value("--set", assignment, "NAME=VALUE")
        if name not in takes:
            raise ImdsUsageError.unknown("name for --set", name, takes)
        value = _json_or_text(text)
        given[name] = value if isinstance(value, (str, *takes[name])) else text
    return given


def fault(written: str) -> Planned:
    """Return the fault that ``--fault`` names.

    Args:
        written: ``NAME``, or ``NAME:PARAMETER=VALUE,PARAMETER=VALUE``; a value is a JSON scalar, else text.

    Raises:
        ImdsUsageError: it has another form, there is no such fault, or it takes other parameters.
    """
    name, colon, rest = written.partition(":")
    pairs = [pair.partition("=") for pair in NEXT_PARAMETER.split(rest)] if colon else []
    parameters = {parameter: _scalar(text) for parameter, _, text in pairs}
    # "name" is no parameter of a fault, but it is one of what makes faults.
    if not all(equals for _, equals, _ in pairs) or {"name", "self"} & {*parameters}:
        raise ImdsUsageError.wrong_value("--fault", written, "NAME or NAME:PARAMETER=VALUE,PARAMETER=VALUE")
    return planned(name, **parameters)


def _scalar(text: str) -> Any:
    value = _json_or_text(text)
    return text if isinstance(value, (dict, list)) else value


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
