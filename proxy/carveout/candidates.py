"""The candidates as one JSON document: what `strangler candidates --json` prints and `/api/candidates` answers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from proxy.carveout.monolith import monolith_of
from proxy.carveout.paste import Paster
from proxy.carveout.ranking import Candidate, Ranking, rank
from proxy.carveout.workload import Workload
from proxy.config.model import Config

UNKNOWN_MONOLITH = "monolith"
"""The target group's name where there is no table and the workload has none."""


def candidates_document(
    workload: Workload,
    config: Config | None = None,
    *,
    monolith: Collection[str] | None = None,
    sensitive: Collection[str] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """Rank a workload and write the result down. Pure; a thousand transactions take about a second.

    Args:
        config: The table into which the rules are to go, if it is known.
        monolith: The monolith's target groups; by default those of the table's default actions, and without a table
            every group of the workload.
        sensitive: Names or paths of transactions with sensitive data.
    """
    if monolith is None:
        monolith = monolith_of(config) if config else {row.target_group for row in workload.transactions}
    ranking = rank(workload, monolith=monolith, sensitive=sensitive, seed=seed)
    known = [row.name for row in workload.transactions if row.target_group in monolith]
    return document_of(ranking, Paster(config, known))


def document_of(ranking: Ranking, paster: Paster) -> dict[str, Any]:
    """A ranking as JSON; shares, benefit and ease from 0 to 1, times in seconds."""
    return {
        "source": ranking.source,
        "since": ranking.since,
        "seconds": ranking.seconds,
        "requests": ranking.requests,
        "state": ranking.state,
        "confidence": ranking.confidence,
        "method": ranking.method,
        "workers": ranking.workers,
        "candidates": [_candidate(candidate, paster) for candidate in ranking.candidates],
        "bundles": [{**_candidate(bundle, paster), "why": list(bundle.why)} for bundle in ranking.bundles],
        "remaining": asdict(ranking.remaining),
    }


def _candidate(candidate: Candidate, paster: Paster) -> dict[str, Any]:
    paste = paster.paste(candidate.cover, candidate.transactions, candidate.target_group or UNKNOWN_MONOLITH)
    return {
        "rank": candidate.rank,
        "name": candidate.name,
        "transactions": list(candidate.transactions),
        "target_group": candidate.target_group,
        "requests": candidate.requests,
        "benefit": candidate.benefit,
        "ease": candidate.ease,
        "priority": candidate.priority,
        "benefit_parts": candidate.benefit_parts,
        "ease_parts": asdict(candidate.ease_parts),
        "share": asdict(candidate.share),
        "stability": candidate.stability,
        "grade": candidate.grade,
        "state": candidate.state,
        "reasons": list(candidate.reasons),
        "patterns": list(candidate.cover.patterns),
        "left_out": list(candidate.cover.left_out),
        "rule": paste.rule if paste else "",
        "rule_target_group": paste.target_group if paste else "",
        "rule_listener": paste.listener if paste else "",
        "rule_note": paste.note if paste else "",
        "without": asdict(candidate.without),
    }
