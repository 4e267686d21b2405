"""What to carve out of a monolith next, and how sure that is: `rank(workload)`, pure."""

from proxy.carveout.ranking.rank import Candidate, Interval, Ranking, Remaining, rank

__all__ = ["Candidate", "Interval", "Ranking", "Remaining", "rank"]
