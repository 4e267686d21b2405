"""Which rules and which values of their conditions take requests, and which never do: pure, for `/api/coverage`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from proxy.config.model import ConditionConfig, Config, ListenerConfig
from proxy.config.problem import Place, Problem
from proxy.observe import families
from proxy.observe.condition_samples import values_of
from proxy.observe.families import Family
from proxy.observe.snapshot import Snapshot
from proxy.rules.compile import DEFAULT_NAME

PROVEN = frozenset({"never-wins", "duplicate-conditions", "contradicting-conditions", "default-unreachable"})
"""Codes of `strangler check` which say that a rule never gets a request, whatever comes."""


def coverage_document(config: Config, snapshot: Snapshot, problems: Iterable[Problem]) -> dict[str, Any]:
    """Every rule with its hits since the gateway's start, and every value of its conditions.

    Args:
        problems: What was found in the table that serves; those of `PROVEN` become `shadowed_by`.
    """
    hits = _sums(snapshot, families.REQUESTS, 2)
    last_hits = _sums(snapshot, families.RULE_LAST_HIT, 2)
    counts = _ValueCounts(snapshot, hits)
    proofs = [problem for problem in problems if problem.code in PROVEN]
    rules = []
    for listener in config.listeners:
        for name, priority, conditions, place in _rules(listener):
            key = (listener.name, name)
            number = int(hits.get(key, 0))
            rules.append(
                {
                    "listener": listener.name,
                    "rule": name,
                    "priority": priority,
                    "hits": number,
                    "last_hit": last_hits.get(key) or None,
                    "conditions": [entry for condition in conditions for entry in counts.of(key, condition)],
                    "sampled": int(counts.sampled.get(key, 0)),
                    "never": not number,
                    "shadowed_by": _proof(proofs, place, [condition.place for condition in conditions]),
                }
            )
    return {"rules": rules}


def _rules(listener: ListenerConfig) -> Iterable[tuple[str, int | None, Sequence[ConditionConfig], Place]]:
    for rule in listener.rules:
        yield rule.name, rule.priority, rule.conditions, rule.place
    yield DEFAULT_NAME, None, (), listener.default.place


def _proof(proofs: Sequence[Problem], place: Place, condition_places: Sequence[Place]) -> str | None:
    for problem in proofs:
        if problem.place == place or problem.place in condition_places:
            return problem.message
    return None


class _ValueCounts:
    def __init__(self, snapshot: Snapshot, hits: Mapping[tuple[str, ...], float]) -> None:
        self._hits = hits
        self.sampled = _sums(snapshot, families.RULE_SAMPLES, 2)
        self._matches = _sums(snapshot, families.CONDITION_MATCHES, 4)
        self._last = _sums(snapshot, families.CONDITION_LAST_MATCH, 4)

    def of(self, key: tuple[str, str], condition: ConditionConfig) -> Iterable[dict[str, Any]]:
        """The values of a condition; hits are the rule's times the value's part of the requests looked at."""
        sampled = self.sampled.get(key, 0.0)
        for text, _ in values_of(condition):
            label = (*key, condition.field, text)
            part = self._matches.get(label, 0.0) / sampled if sampled else 0.0
            yield {
                "field": condition.field,
                "value": text,
                "hits": round(self._hits.get(key, 0.0) * min(part, 1.0)),
                "last_hit": self._last.get(label) or None,
            }


def _sums(snapshot: Snapshot, family: Family, labels: int) -> dict[tuple[str, ...], float]:
    """Values by their first labels, summed over the others."""
    found: dict[tuple[str, ...], float] = {}
    for sample in snapshot["values"].get(family.name, ()):
        key = tuple(sample["labels"][:labels])
        found[key] = found.get(key, 0.0) + sample["value"]
    return found
