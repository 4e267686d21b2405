"""The arithmetic of a comparison and its two faces, table and JSON."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

Measurement = Mapping[str, float]
"""One run of one peer: its figures by name."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that is measured; `name` carries its unit, `title` is the column's."""

    name: str
    title: str
    digits: int


CPU = Figure("cpu_us_per_request", "CPU µs/request", 1)
REQUESTS = Figure("requests_per_second", "requests/s", 0)
P50 = Figure("p50_ms", "p50 ms", 2)
P99 = Figure("p99_ms", "p99 ms", 2)
THROUGHPUT = Figure("megabytes_per_second", "MB/s", 0)
CPU_OF_BODIES = Figure("cpu_ms_per_gigabyte", "CPU ms/GB", 0)

OF_REQUESTS = (CPU, REQUESTS, P50, P99)
OF_BODIES = (THROUGHPUT, CPU_OF_BODIES)


@dataclass(frozen=True, slots=True)
class Line:
    """One peer in one case: the median of its rounds, or why there is none."""

    case: str
    peer: str
    median: Measurement | None
    lowest: Measurement | None = None
    highest: Measurement | None = None
    ratio: Measurement | None = None
    failure: str | None = None


def summarize(
    case: str, runs: Mapping[str, Sequence[Measurement]], failures: Mapping[str, str], reference: str
) -> list[Line]:
    """Return a line per peer. A peer with a failure in any round gets no number.

    Args:
        runs: The measurements of each peer, one per round.
        failures: What went wrong with a peer.
        reference: The peer the ratios are to; without it there are none.
    """
    lines = []
    for peer in [*runs, *(name for name in failures if name not in runs)]:
        if peer in failures or not runs[peer]:
            lines.append(Line(case, peer, None, failure=failures.get(peer, "no run")))
            continue
        base = () if reference in failures else runs.get(reference, ())
        lines.append(
            Line(
                case,
                peer,
                median=_combine(statistics.median, runs[peer]),
                lowest=_combine(min, runs[peer]),
                highest=_combine(max, runs[peer]),
                ratio=ratio(runs[peer], base) if base else None,
            )
        )
    return lines


def ratio(measured: Sequence[Measurement], base: Sequence[Measurement]) -> Measurement:
    """Return the median of the ratios within each round.

    Two peers in one round ran within the same minute on a machine that others disturb.
    """
    divided = [{name: one[name] / other[name] for name in one} for one, other in zip(measured, base, strict=True)]
    return _combine(statistics.median, divided)


def document(lines: Sequence[Line], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON document of a comparison."""
    return {**about, "results": [asdict(line) for line in lines]}


def show(console: Console, case: str, lines: Sequence[Line], reference: str, figures: Sequence[Figure]) -> None:
    """Print one case: each figure with its ratio to the reference, the first with its span over the rounds."""
    table = Table(title=case, title_justify="left")
    table.add_column("proxy")
    for number, figure in enumerate(figures):
        table.add_column(figure.title, justify="right")
        table.add_column(f"/ {reference}", justify="right")
        if number == 0:
            table.add_column("lowest-highest", justify="right")
    for line in lines:
        table.add_row(line.peer, *_cells(line, figures))
    console.print(table)
    for line in lines:
        if line.failure:
            console.print(f"{case} {line.peer} failed: {line.failure}", markup=False, highlight=False)


def _cells(line: Line, figures: Sequence[Figure]) -> list[str]:
    if line.median is None or line.lowest is None or line.highest is None:
        return ["failed"]
    cells = []
    for number, figure in enumerate(figures):
        cells.append(f"{line.median[figure.name]:.{figure.digits}f}")
        cells.append(f"{line.ratio[figure.name]:.2f}" if line.ratio else "-")
        if number == 0:
            span = (line.lowest[figure.name], line.highest[figure.name])
            cells.append("-".join(f"{each:.{figure.digits}f}" for each in span))
    return cells


def _combine(function: Callable[[list[float]], float], measurements: Sequence[Measurement]) -> Measurement:
    return {name: function([each[name] for each in measurements]) for name in measurements[0]}
