"""The results as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table

CURVES = {0.4: "day curve", 0.0: "constant"}


def tables(lines: Sequence[dict[str, Any]], without: Sequence[dict[str, Any]]) -> Iterator[Table]:
    """Estimators by load, one table for each truth; then the predictions."""
    for truth, title in (("work", "Against the workers' time"), ("cpu", "Against the CPU time")):
        mine = [line for line in lines if line["truth"] == truth]
        columns = list(dict.fromkeys((line["swing"], line["load"]) for line in mine))
        table = Table(title=f"{title}: top 5 right / mean share error", title_justify="left")
        table.add_column("estimator")
        for swing, load in columns:
            table.add_column(f"{CURVES[swing]}\n{load}", justify="right")
        for estimator in dict.fromkeys(line["estimator"] for line in mine):
            cells = {(line["swing"], line["load"]): line for line in mine if line["estimator"] == estimator}
            table.add_row(
                estimator,
                *(
                    f"{cells[column]['top_5_right']:.2f} / {cells[column]['share_error']:.3f}"
                    if column in cells
                    else ""
                    for column in columns
                ),
            )
        yield table
    table = Table(title="Without the first candidate, predicted and run", title_justify="left")
    for heading in ("load", "error of the rest's p95", "p95 within low and high", "error of requests in flight"):
        table.add_column(heading, justify="right")
    for line in without:
        table.add_row(
            f"{line['load']}",
            f"{line['p95_error']:.0%}",
            f"{line['p95_in_interval']:.0%}",
            f"{line['in_flight_error']:.0%}",
        )
    yield table
