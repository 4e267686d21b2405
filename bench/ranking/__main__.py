"""How right the ranking is, measured on a simulated monolith whose truth is known.

python -m bench.ranking [--seeds N] [--json]

Rows: ways to tell what the monolith's work is made of, the ranking's own first. Columns: mean loads of its 16 workers,
with a day's curve (an hour long) and at a constant rate. Each cell: the part of the runs in which the five largest
transactions are the true ones, and the mean share error (half the sum of absolute differences between estimated and
true shares). The exit code is 1 when the ranking misses 95 percent of the runs, or a share error of 0.05 in any.
"""

from __future__ import annotations

import argparse
import json
import sys

from rich.console import Console

from bench.ranking.report import tables
from bench.ranking.trial import (
    LOADS,
    OURS,
    SWINGS,
    compare,
    other_disciplines,
    predictions,
    summarise,
)

RIGHT = 0.95
WORST_ERROR = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.ranking", description="How right the ranking is.")
    parser.add_argument("--seeds", type=int, default=8, help="monoliths; each runs at every load")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    seeds = range(arguments.seeds)
    scores = []
    for swing in SWINGS:
        for load in LOADS:
            for seed in seeds:
                print(f"\rload {load}, swing {swing}, seed {seed} ", file=sys.stderr, end="", flush=True)
                scores += compare(seed, load, swing)
    print("\rother monoliths, and predictions ", file=sys.stderr, flush=True)
    scores += other_disciplines(seeds)
    ours = [score for score in scores if score.estimator == OURS]
    right = sum(score.is_right for score in ours) / len(ours)
    worst = max(score.error for score in ours)
    is_met = right >= RIGHT and worst <= WORST_ERROR
    lines, without = summarise(scores), predictions(seeds)
    if arguments.json:
        verdict = {"runs": len(ours), "top_5_right": right, "worst_share_error": worst, "ok": is_met}
        print(json.dumps({**verdict, "estimators": lines, "without": without}, indent=2))
    else:
        console = Console()
        for table in tables(lines, without):
            console.print(table)
        console.print(f"{OURS}: top 5 right in {right:.0%} of {len(ours)} runs, worst share error {worst:.3f}")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
