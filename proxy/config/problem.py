"""A problem in `routes.yaml`, with its place and its remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the file. Lines and columns from 1; `path` is like `listeners[0].port`."""

    line: int
    column: int
    path: str

    def of(self, key: str) -> Place:
        """The place of `key` inside this record, as near as the record's own line tells."""
        return Place(self.line, self.column, f"{self.path}.{key}" if self.path else key)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong (`error`) or doubtful (`warning`) in a table, as `strangler check --json` prints it."""

    severity: Literal["error", "warning"]
    code: str
    place: Place
    message: str

    def __str__(self) -> str:
        place = self.place
        return f"{place.line}:{place.column}: {self.severity}: {place.path}: {self.message} [{self.code}]"


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Problems as the file has their places; those of one place stay in their order."""
    return sorted(problems, key=lambda problem: (problem.place.line, problem.place.column))


class ConfigError(Exception):
    """A table cannot be used; `problems` holds every reason, not only the first.

    Warnings found on the way are among them, so that whoever reports the errors can report all at once.
    """

    def __init__(self, problems: Iterable[Problem], source: str = "routes.yaml") -> None:
        self.problems = list(problems)
        self.source = source
        super().__init__("\n".join(f"{source}:{problem}" for problem in self.problems))


@dataclass(slots=True)
class Report:
    """Collects problems while a table is read; `failed` knows the paths that have an error already."""

    problems: list[Problem] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)

    def error(self, code: str, place: Place, message: str) -> None:
        self.problems.append(Problem("error", code, place, message))
        self.failed.add(place.path)

    def warning(self, code: str, place: Place, message: str) -> None:
        self.problems.append(Problem("warning", code, place, message))
