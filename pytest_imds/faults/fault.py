"""A fault as a value."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from pytest_imds.errors import ImdsUsageError
from pytest_imds.faults import kinds
from pytest_imds.faults.kinds import KINDS, Kinds

if TYPE_CHECKING:
    from pytest_imds.faults.faults import Faults


# As the documentation has them.
IN_ORDER = ("path", "after", "times", "window", "probability", "required")


class Fault:
    """A fault by its name, and what its method takes: for ``Faults.sequence``, also in the marker ``imds_fault``.

    Args:
        name: what it is called.
        given: what its method takes by position.
        parameters: what its method takes by name.

    Raises:
        ImdsUsageError: there is no such fault, or it takes other parameters.

    Example:
        >>> Fault("gone", window=70)
        gone(window=70)
    """

    def __init__(self, name: str, *given: Any, **parameters: Any) -> None:
        if name not in KINDS:
            raise ImdsUsageError.unknown("fault", name, KINDS)
        try:
            inspect.signature(getattr(Kinds, name)).bind(None, *given, **parameters)
        except TypeError:
            raise ImdsUsageError.wrong_value(
                f"what the fault {name} takes", (*given, *parameters), takes(name)
            ) from None
        self.name = name
        self._given = given
        self._parameters = parameters

    def __repr__(self) -> str:
        """Return it as it is called."""
        written = [*map(repr, self._given), *(f"{name}={value!r}" for name, value in self._parameters.items())]
        return f"{self.name}({', '.join(written)})"

    def plan(self, faults: Faults) -> None:
        """Plan it.

        Raises:
            ImdsUsageError: a parameter is unknown, or has a value that it cannot have.
        """
        getattr(faults, self.name)(*self._given, **self._parameters)


class Sequence:
    """Faults that are played one after another."""

    def __init__(self, faults: tuple[Any, ...]) -> None:
        self._faults = faults

    def plan(self, faults: Faults) -> None:
        """Plan them, as ``Faults.sequence`` does."""
        faults.sequence(*self._faults)


Planned = Fault | Sequence


def planned(name: str, *given: Any, **parameters: Any) -> Planned:
    """Return what the marker ``imds_fault`` plans: a fault, or with ``sequence`` several.

    Raises:
        ImdsUsageError: there is no such fault, or it takes other parameters.
    """
    if name != "sequence":
        return Fault(name, *given, **parameters)
    if parameters:
        raise ImdsUsageError.wrong_value("sequence", parameters, 'faults alone, such as Fault("gone", window=70)')
    return Sequence(given)


def takes(name: str) -> str:
    """Return how the fault ``name`` is called, such as ``gone(*, window=70, path, after, ...)``."""
    written = own(name)
    star = [] if "*" in written else ["*"]
    of_others = parameters(name)[len(_own(name)) :]
    return f"{name}({', '.join([*filter(None, [written]), *star, *of_others])})"


def about(name: str) -> str:
    """Return what the client sees of the fault ``name``, on one line of Markdown."""
    first, *_ = inspect.cleandoc(str(getattr(Kinds, name).__doc__)).split("\n\n")
    return first.replace("\n", " ").replace("``", "`")


def own(name: str) -> str:
    """Return what the fault ``name`` takes, and no other, such as ``seconds, jitter=0``."""
    return str(inspect.Signature(_own(name)))[1:-1]


def parameters(name: str) -> list[str]:
    """Return the names of all that the fault ``name`` takes: its own, then those that others take too."""
    first = [parameter.name for parameter in _own(name)]
    *_, rest = inspect.signature(getattr(Kinds, name)).parameters.values()
    unpacked = str(rest.annotation).removeprefix("Unpack[").removesuffix("]")
    of_others = getattr(kinds, unpacked).__annotations__
    return [*first, *(what for what in IN_ORDER if what in of_others and what not in first)]


def _own(name: str) -> list[inspect.Parameter]:
    return [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(getattr(Kinds, name)).parameters.values()
        if parameter.name != "self" and parameter.kind is not parameter.VAR_KEYWORD
    ]
