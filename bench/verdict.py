"""A goal, what was measured against it, and the verdict: one row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit of a ratio, or of a figure itself.

    `of` is what the ratio is to (`nginx`, `1 worker`); empty for a limit of the figure itself, which then has a `unit`.
    """

    limit: float
    of: str = ""
    at_least: bool = False
    unit: str = ""

    def is_met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        bound = "at least" if self.at_least else "at most"
        return " ".join(filter(None, (bound, f"{self.limit:g}", self.unit, self.of and f"of {self.of}")))


@dataclass(frozen=True, slots=True)
class Row:
    """One goal and what came of it.

    `value` is what the goal's limit is held against; without one there is no result, and `figure` says why.
    """

    name: str
    figure: str
    value: float | None
    goal: Goal

    @property
    def ratio(self) -> str:
        return f"{self.value:.2f}" if self.value is not None and self.goal.of else "-"

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "no result"
        return "PASS" if self.goal.is_met(self.value) else "FAIL"


def exit_code(rows: Sequence[Row]) -> int:
    """Return 0 if every goal is met, 1 if one is missed, 2 if one has no result."""
    verdicts = {row.verdict for row in rows}
    return 2 if "no result" in verdicts else int("FAIL" in verdicts)


def show(console: Console, rows: Sequence[Row], title: str | None = None) -> None:
    """Print the rows as a table."""
    table = Table(title=title, title_justify="left")
    for column in ("goal for", "figure", "ratio", "goal", "verdict"):
        table.add_column(column, justify="right" if column == "ratio" else "left")
    for row in rows:
        table.add_row(row.name, row.figure, row.ratio, str(row.goal), row.verdict)
    console.print(table, markup=False)


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a table of a Markdown page."""
    lines = ["| goal for | figure | ratio | goal | verdict |", "| --- | --- | ---: | --- | --- |"]
    lines += [f"| {row.name} | {row.figure} | {row.ratio} | {row.goal} | {row.verdict} |" for row in rows]
    return "\n".join(lines)
