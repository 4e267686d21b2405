"""What each transaction cost, window by window: measured live or read from logs, and all that the ranking knows.

Seconds are those that a target was busy with a request: from the request sent to it until its response was complete
as far as the target is to blame; a slow client's share is left out where it is known.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

FINE_BUCKETS: Final = tuple(round(0.0005 * 2 ** (step / 2), 9) for step in range(36))
"""Upper bounds in seconds of the histogram that percentiles are read from: half a millisecond to over a minute and a
half, each 1.41 times the one before, so that a percentile is off by at most a fifth."""


@dataclass(slots=True)
class WindowLoad:
    """One transaction in one window, by when requests completed.

    Attributes:
        requests: Completed requests.
        seconds: Their sum of target seconds.
        quiet_requests, quiet_seconds: Of those that began while the target group had few requests in flight.
        cpu_seconds: CPU that the target reported itself (`Server-Timing: cpu`), 0.0 when it does not.
        worked_seconds: Of `seconds`, those without the wait in the target's own queue (`queueing.py`); 0.0 when they
            are not known.
    """

    requests: int = 0
    seconds: float = 0.0
    quiet_requests: int = 0
    quiet_seconds: float = 0.0
    cpu_seconds: float = 0.0
    worked_seconds: float = 0.0


@dataclass(slots=True)
class TransactionLoad:
    """One transaction at one target group over all windows.

    Attributes:
        name: Method and templated path, `GET /orders/{id}`.
        target_group: Where it was served.
        windows: By index of the workload's windows; an idle window is absent.
        first_byte_seconds: Sum of the time until the response head; the rest of `seconds` is transfer.
        squared_seconds: Sum of squares, for the variability.
        squared_worked_seconds: The same of the worked seconds, 0.0 when they are not known.
        counts: One count a bucket of `FINE_BUCKETS`, the last for what is slower still.
        slow_seconds: Sum of the seconds over the latency objective (tail pain).
        request_bytes, response_bytes: On the wire, heads included.
        errors: Responses 5xx of the target, timeouts and resets.
        client_errors: Responses 4xx.
        writes: Requests with an unsafe method.
        sets_cookies: Responses that set a cookie.
        streams: Tunnels, event streams and long polls; their time is in no other sum.
        database_seconds: As the target reported itself (`Server-Timing: db`).
        sessions: Sampled sessions that used it.
        neighbours: Next transaction of the same session, to how often; bounded.
        last_hit: When it was asked for last, in seconds since the epoch; 0.0 when it is not known.
    """

    name: str
    target_group: str
    windows: dict[int, WindowLoad] = field(default_factory=dict)
    first_byte_seconds: float = 0.0
    squared_seconds: float = 0.0
    squared_worked_seconds: float = 0.0
    counts: list[int] = field(default_factory=lambda: [0] * (len(FINE_BUCKETS) + 1))
    slow_seconds: float = 0.0
    request_bytes: int = 0
    response_bytes: int = 0
    errors: int = 0
    client_errors: int = 0
    writes: int = 0
    sets_cookies: int = 0
    streams: int = 0
    database_seconds: float = 0.0
    sessions: int = 0
    neighbours: dict[str, int] = field(default_factory=dict)
    last_hit: float = 0.0

    @property
    def requests(self) -> int:
        return sum(window.requests for window in self.windows.values())

    @property
    def seconds(self) -> float:
        return sum(window.seconds for window in self.windows.values())

    @property
    def worked_seconds(self) -> float:
        return sum(window.worked_seconds for window in self.windows.values())

    def percentile(self, share: float) -> float:
        """The seconds that `share` of the requests did not exceed: the upper bound of a bucket, 0.0 without any."""
        return percentile(self.counts, share)


@dataclass(slots=True)
class Workload:
    """All transactions over some time.

    Attributes:
        started_at: Of the first window, in seconds since the epoch.
        window_seconds: Length of each window.
        window_count: How many there are, idle ones included.
        objective_seconds: The latency objective that `slow_seconds` are over.
        transactions: By name and target group.
        cpu_seconds: CPU of the target group's containers by window, where it is given.
        source: `live`, or the log that it was read from.
        workers: By target group, how many requests its targets together work on at once (`queueing.py`).
    """

    started_at: float
    window_seconds: float
    window_count: int
    objective_seconds: float
    transactions: list[TransactionLoad] = field(default_factory=list)
    cpu_seconds: dict[str, list[float]] = field(default_factory=dict)
    source: str = "live"
    workers: dict[str, int] = field(default_factory=dict)


def percentile(counts: Sequence[int], share: float) -> float:
    """Read a percentile from counts by `FINE_BUCKETS`; 0.0 when they are empty."""
    total = sum(counts)
    if not total:
        return 0.0
    needed = share * total
    seen = 0
    for index, count in enumerate(counts):
        seen += count
        if count and seen >= needed:
            return FINE_BUCKETS[min(index, len(FINE_BUCKETS) - 1)]
    return FINE_BUCKETS[-1]


def bucket_of(seconds: float) -> int:
    """Index into `TransactionLoad.counts`."""
    return bisect_left(FINE_BUCKETS, seconds)
