"""A workload as a plain table: what each transaction cost, before anything is judged."""

from __future__ import annotations

from proxy.carveout.workload import Workload

HEADINGS = ("transaction", "target group", "requests", "rate/s", "mean", "p95", "time share", "errors", "writes")


def rows(workload: Workload, limit: int) -> list[tuple[str, ...]]:
    """Headings and the transactions that took the most time, the first `limit` of them; durations in seconds."""
    seconds = workload.window_seconds * workload.window_count
    total = sum(load.seconds for load in workload.transactions) or 1.0
    loads = sorted(workload.transactions, key=lambda load: (-load.seconds, load.name))[:limit]
    return [
        HEADINGS,
        *(
            (
                load.name,
                load.target_group,
                f"{load.requests}",
                f"{load.requests / seconds:.3g}",
                f"{load.seconds / max(load.requests, 1):.3f}",
                f"{load.percentile(0.95):.3f}",
                f"{load.seconds / total:.1%}",
                f"{load.errors / max(load.requests, 1):.1%}",
                f"{load.writes / max(load.requests, 1):.1%}",
            )
            for load in loads
        ),
    ]
