"""The ranking: from a workload to candidates, each with its parts, its reasons and how sure they are. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from proxy.carveout.ranking import bootstrap
from proxy.carveout.ranking.bootstrap import Grade, State
from proxy.carveout.ranking.bundles import Bundle, find_bundles, split_name
from proxy.carveout.ranking.cover import Cover, cover
from proxy.carveout.ranking.matrix import Demand, LoadMatrix, Method
from proxy.carveout.ranking.reasons import Facts, reasons
from proxy.carveout.ranking.remains import Monolith, Without
from proxy.carveout.ranking.signals import BENEFITS, EaseParts, benefit, ease_parts, shares, step_popularity
from proxy.carveout.workload import Workload

MOST_CANDIDATES: Final = 50
TOP: Final = 5
"""Rank stability is about staying among so many."""
_WORST: Final[dict[Method, Grade]] = {"worked": "A", "quiet": "A", "wall": "B"}
"""The best grade that each way to tell work from waiting allows."""


@dataclass(frozen=True, slots=True)
class Interval:
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A transaction, or a bundle of them, that may leave the monolith.

    Attributes:
        rank: From 1, by `priority`, which is `benefit` x `ease`; both from 0 to 1.
        share: Of the monolith's work (`demand_share` of the parts), with nine of ten draws of the bootstrap.
        stability: The share of draws in which it stays among the first five, or as far up as it is.
        why: Of a bundle, why its transactions belong together.
    """

    rank: int
    name: str
    transactions: tuple[str, ...]
    target_group: str
    requests: int
    benefit: float
    ease: float
    priority: float
    benefit_parts: dict[str, float]
    ease_parts: EaseParts
    share: Interval
    stability: float
    grade: Grade
    state: State
    reasons: tuple[str, ...]
    cover: Cover
    without: Without
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remaining:
    """How much of all traffic is still the monolith's: the burn-down of this moment.

    Attributes:
        request_share, time_share: The monolith's part of all target groups' requests and seconds.
    """

    transactions: int
    requests: int
    seconds: float
    request_share: float
    time_share: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """What to carve out next.

    Attributes:
        since: Seconds since the epoch; `seconds` is how long was measured.
        method: How work was told from waiting.
        workers: The monolith's, where they could be seen.
        confidence: The worst grade among the first three candidates.
    """

    source: str
    since: float
    seconds: float
    requests: int
    state: State
    confidence: Grade
    method: Method
    workers: int | None
    candidates: tuple[Candidate, ...]
    bundles: tuple[Candidate, ...]
    remaining: Remaining


def rank(workload: Workload, *, monolith: Collection[str], sensitive: Collection[str] = (), seed: int = 0) -> Ranking:
    """Rank the monolith's transactions as candidates, and the bundles that they are in.

    Args:
        monolith: The target groups that are the monolith.
        sensitive: Names or paths of transactions with sensitive data, `*` for any run of characters.
        seed: Of the bootstrap; the same workload and seed give the same ranking.
    """
    return _Ranker(workload, monolith, sensitive, seed).ranking()


@dataclass(frozen=True, slots=True)
class _Scored:
    """A set of rows and its numbers; `priorities` by draw."""

    rows: tuple[int, ...]
    parts: dict[str, float]
    benefit: float
    ease_parts: EaseParts
    shares: NDArray[np.float64]
    priorities: NDArray[np.float64]
    why: tuple[str, ...] = ()

    @property
    def priority(self) -> float:
        return self.benefit * self.ease_parts.ease


class _Ranker:
    def __init__(self, workload: Workload, monolith: Collection[str], sensitive: Collection[str], seed: int) -> None:
        self.workload = workload
        self.sensitive = sensitive
        self.load = load = LoadMatrix(workload, monolith)
        self.names = [row.name for row in load.rows]
        self.known = frozenset(self.names)
        self.popularity = step_popularity(load.rows)
        self.seconds = workload.window_count * workload.window_seconds
        self.demand = load.demand()
        weights = bootstrap.window_weights(workload.window_count, workload.window_seconds, seed)
        self.drawn = load.demand(weights)
        self.parts = self._parts(self.demand)
        self.benefits = benefit(self.parts)
        drawn_parts = self._parts(self.drawn)
        self.drawn_shares = drawn_parts["demand_share"]
        self.drawn_benefits = benefit(drawn_parts)
        self.monolith = Monolith(load, seed)

    def _parts(self, demand: Demand) -> dict[str, NDArray[np.float64]]:
        return {name: part(self.load, demand) for name, (_, part) in BENEFITS.items()}

    def ranking(self) -> Ranking:
        workload, load = self.workload, self.load
        singles = [self._score((number,)) for number, name in enumerate(self.names) if split_name(name)]
        singles = [single for single in singles if self.demand.requests[single.rows[0]]]
        number_of = {id(row): number for number, row in enumerate(load.rows)}
        bundles = [
            self._score(tuple(number_of[id(row)] for row in bundle.rows), bundle) for bundle in find_bundles(load.rows)
        ]
        candidates = self._in_order(singles)
        requests = int(load.requests.sum())
        windows = int((load.requests.sum(axis=0) > 0).sum())
        return Ranking(
            source=workload.source,
            since=workload.started_at,
            seconds=self.seconds,
            requests=requests,
            state=bootstrap.state(requests, self.seconds, windows),
            confidence=max((candidate.grade for candidate in candidates[:3]), default="C"),
            method=load.method,
            workers=load.workers,
            candidates=tuple(candidates),
            bundles=tuple(self._in_order(bundles)),
            remaining=_remaining(workload, load),
        )

    def _score(self, rows: tuple[int, ...], bundle: Bundle | None = None) -> _Scored:
        members = list(rows)
        parts = ease_parts([self.load.rows[row] for row in rows], self.known, self.popularity)
        return _Scored(
            rows=rows,
            parts={name: float(part[members].sum()) for name, part in self.parts.items()},
            benefit=float(self.benefits[members].sum()),
            ease_parts=parts,
            shares=self.drawn_shares[members].sum(axis=0),
            priorities=self.drawn_benefits[members].sum(axis=0) * parts.ease,
            why=bundle.why if bundle else (),
        )

    def _in_order(self, scored: Sequence[_Scored]) -> list[Candidate]:
        """The first `MOST_CANDIDATES` with all that is known of them."""
        if not scored:
            return []
        order = sorted(scored, key=lambda one: (-one.priority, self.names[one.rows[0]]))
        priorities = np.array([one.priorities for one in order])
        # Ties keep the order that they have.
        ranks = np.argsort(np.argsort(-priorities, axis=0, kind="stable"), axis=0) + 1
        return [self._candidate(one, place + 1, ranks[place]) for place, one in enumerate(order[:MOST_CANDIDATES])]

    def _candidate(self, scored: _Scored, place: int, ranks: NDArray[np.int64]) -> Candidate:
        load = self.load
        members = list(scored.rows)
        rows = [load.rows[row] for row in members]
        requests = sum(row.requests for row in rows)
        windows = int((load.requests[members].sum(axis=0) > 0).sum())
        share = scored.parts["demand_share"]
        low, high = (float(np.quantile(scored.shares, edge)) for edge in bootstrap.INTERVAL)
        stable = bootstrap.stability(ranks, place, TOP)
        state = bootstrap.state(requests, self.seconds, windows)
        grade: Grade = max(bootstrap.grade(share, low, high, stable, self.seconds), _WORST[load.method])
        if requests < bootstrap.LEAST_REQUESTS or windows < bootstrap.LEAST_WINDOWS:
            grade = "C"
        gone = np.zeros(len(load.rows), dtype=bool)
        gone[members] = True
        return Candidate(
            rank=place,
            name=rows[0].name,
            transactions=tuple(row.name for row in rows),
            target_group=rows[0].target_group,
            requests=requests,
            benefit=scored.benefit,
            ease=scored.ease_parts.ease,
            priority=scored.priority,
            benefit_parts=scored.parts,
            ease_parts=scored.ease_parts,
            share=Interval(share, min(low, share), max(high, share)),
            stability=stable,
            grade=grade,
            state=state,
            reasons=tuple(reasons(self._facts(members), scored.ease_parts, self.sensitive)),
            cover=cover((row.name for row in rows), self.names),
            without=self.monolith.without(gone),
            why=scored.why,
        )

    def _facts(self, members: list[int]) -> Facts:
        load, demand = self.load, self.demand
        work, requests = float(demand.seconds[members].sum()), float(demand.requests[members].sum())
        all_work, all_requests = float(demand.seconds.sum()), float(demand.requests.sum())
        wall = float(load.wall[members].sum())
        sent = [row.request_bytes + row.response_bytes for row in load.rows]
        cpu = None if demand.cpu_seconds is None else float(shares(demand.cpu_seconds)[members].sum())
        return Facts(
            rows=[load.rows[row] for row in members],
            request_share=requests / all_requests if all_requests else 0.0,
            work_share=work / all_work if all_work else 0.0,
            cpu_share=cpu,
            mean_work=work / requests if requests else 0.0,
            mean_work_of_all=all_work / all_requests if all_requests else 0.0,
            bytes_share=sum(sent[row] for row in members) / max(sum(sent), 1),
            queued=max(1.0 - work / wall, 0.0) if wall and load.method != "wall" else None,
        )


def _remaining(workload: Workload, load: LoadMatrix) -> Remaining:
    requests = sum(row.requests for row in workload.transactions)
    seconds = sum(row.seconds for row in workload.transactions)
    own_requests, own_seconds = int(load.requests.sum()), float(load.wall.sum())
    return Remaining(
        transactions=_count(row.requests for row in load.rows),
        requests=own_requests,
        seconds=own_seconds,
        request_share=own_requests / requests if requests else 0.0,
        time_share=own_seconds / seconds if seconds else 0.0,
    )


def _count(requests: Iterable[int]) -> int:
    return sum(1 for number in requests if number)
