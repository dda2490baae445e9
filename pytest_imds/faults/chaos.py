"""Transient faults at random, in requests that nothing else breaks."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from pytest_imds.faults.effects import Effect, Late, Refusal, Wire
from pytest_imds.faults.script import End, cut

# How likely a request is broken.
PROBABILITY = 0.3
# A client that tries three times gets an answer.
IN_A_ROW = 2


class Chosen(NamedTuple):
    """What chance has chosen, and how it is told."""

    told: str
    effect: Effect


CHOICES = (
    Chosen("410", Refusal("gone")),
    Chosen("429", Refusal("throttled")),
    Chosen("500", Refusal("server-error")),
    Chosen("latency", Late(0.1, 0.4)),
    Chosen("reset", Wire(lambda random: cut(0, End.RESET))),
)


class Chaos:
    """Chooses what breaks.

    Args:
        random: its chance; the same gives the same faults to the same requests.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self._in_a_row = 0

    def chosen(self, *, broken: bool = False) -> Chosen | None:
        """Return what breaks the next request, or None; one that is ``broken`` already is not broken twice."""
        lucky, choice = self.random.random() >= PROBABILITY, self.random.choice(CHOICES)
        if broken:
            self._in_a_row = min(self._in_a_row + 1, IN_A_ROW)
            return None
        if lucky or self._in_a_row == IN_A_ROW:
            self._in_a_row = 0
            return None
        self._in_a_row = 0 if isinstance(choice.effect, Late) else self._in_a_row + 1
        return choice
