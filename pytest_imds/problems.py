"""What went wrong inside a server, and which requests met it."""

from __future__ import annotations

from collections.abc import Iterable

Problem = tuple[BaseException | str, list[str]]


class Met:
    """Remembers which requests met which problems."""

    def __init__(self) -> None:
        self._noted: list[tuple[BaseException, str]] = []

    def note(self, problem: BaseException, request: str) -> None:
        """Take note that ``request`` met ``problem``."""
        self._noted.append((problem, request))

    def by(self, problems: Iterable[BaseException | str]) -> list[Problem]:
        """Return each problem with the requests that met it, in the order in which they did."""
        requests: dict[int, list[str]] = {}
        for problem, request in self._noted:
            requests.setdefault(id(problem), []).append(request)
        in_order = sorted(problems, key=lambda problem: [*requests, id(problem)].index(id(problem)))
        return [(problem, requests.get(id(problem), [])) for problem in in_order]
