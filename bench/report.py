"""The arithmetic of a comparison and its two faces, table and JSON."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of one peer."""

    cpu_us_per_request: float
    requests_per_second: float
    p50_ms: float
    p99_ms: float


MEASURES = tuple(Measurement.__dataclass_fields__)


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
    """Return a line per peer.

    A peer with a failure in any round gets no number. A ratio is the median of the ratios within each
    round, since two peers in one round ran within the same minute on a machine that others disturb.

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
        ratio = None
        base = runs.get(reference, ())
        if reference not in failures and base:
            ratios = [_divide(*pair) for pair in zip(runs[peer], base, strict=True)]
            ratio = _combine(statistics.median, ratios)
        lines.append(
            Line(
                case,
                peer,
                median=_combine(statistics.median, runs[peer]),
                lowest=_combine(min, runs[peer]),
                highest=_combine(max, runs[peer]),
                ratio=ratio,
            )
        )
    return lines


def document(lines: Sequence[Line], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON document of a comparison."""
    return {**about, "results": [asdict(line) for line in lines]}


def show(console: Console, case: str, lines: Sequence[Line], reference: str) -> None:
    """Print one case: each measure with its ratio to the reference, CPU with its span over the rounds."""
    table = Table(title=case, title_justify="left")
    table.add_column("proxy")
    for title in ("CPU µs/request", f"/ {reference}", "lowest-highest", "requests/s", f"/ {reference}"):
        table.add_column(title, justify="right")
    for title in ("p50 ms", f"/ {reference}", "p99 ms", f"/ {reference}"):
        table.add_column(title, justify="right")
    for line in lines:
        if line.median is None or line.lowest is None or line.highest is None:
            table.add_row(line.peer, "failed")
            continue
        ratio = {name: f"{getattr(line.ratio, name):.2f}" if line.ratio else "-" for name in MEASURES}
        table.add_row(
            line.peer,
            f"{line.median.cpu_us_per_request:.1f}",
            ratio["cpu_us_per_request"],
            f"{line.lowest.cpu_us_per_request:.1f}-{line.highest.cpu_us_per_request:.1f}",
            f"{line.median.requests_per_second:.0f}",
            ratio["requests_per_second"],
            f"{line.median.p50_ms:.2f}",
            ratio["p50_ms"],
            f"{line.median.p99_ms:.2f}",
            ratio["p99_ms"],
        )
    console.print(table)
    for line in lines:
        if line.failure:
            console.print(f"{case} {line.peer} failed: {line.failure}", markup=False, highlight=False)


def _combine(function: Any, measurements: Sequence[Measurement]) -> Measurement:
    return Measurement(*(function([getattr(each, name) for each in measurements]) for name in MEASURES))


def _divide(measured: Measurement, base: Measurement) -> Measurement:
    return Measurement(*(getattr(measured, name) / getattr(base, name) for name in MEASURES))
