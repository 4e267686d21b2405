"""Counting requests: plain integers on the hot path, a snapshot of them at a scrape.

    rule compiled   -> series = metrics.series(listener, rule, target_group)     held beside the rule
    request ended   -> series.record(record)                                     about a microsecond
    table swapped   -> metrics.serving(rules)                                    counters of gone rules stay
    scraped         -> exposition.render(metrics.snapshot(live))

Everything here runs on the event loop's thread.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, Literal

from proxy import __version__
from proxy.errors import AuthenticationError, ClaimsTooLargeError, LoginError, LoginRefusedError
from proxy.observe import families
from proxy.observe.condition_samples import ConditionSamples
from proxy.observe.families import DURATION_BUCKETS, METHODS, OVERHEAD_BUCKETS, Family
from proxy.observe.live import LiveState
from proxy.observe.record import RequestRecord
from proxy.observe.snapshot import Distribution, Snapshot, Value

RETAINED_SERIES = 256
"""How many series of rules that are gone are kept; over that, those gone longest are forgotten.

Each is up to a hundred lines of every scrape; a tool that generates rule names would add to them for ever.
"""

SHORTEST_DURATION: Final = 0.005
SHORTEST_OVERHEAD: Final = 0.00005
"""The first buckets, as numbers that the compiler knows."""
assert (DURATION_BUCKETS[0], OVERHEAD_BUCKETS[0]) == (SHORTEST_DURATION, SHORTEST_OVERHEAD)

JWT_VALIDATION: Final = "jwt-validation"

ConnectResult = Literal["success", "refused", "timeout", "tls"]
SeriesKey = tuple[str, str, str]
_Labels = tuple[str, ...]


class Tally:
    """A histogram as it is counted: one count a bucket, not cumulated, the last for +Inf."""

    __slots__ = ("counts", "sum")

    def __init__(self, bounds: Collection[float]) -> None:
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0


class RouteSeries:
    """The counts of one (listener, rule, target group).

    `rule` is empty for requests that never reached the rules, `target_group` for those that went to none.
    `overhead` is shared by the series of a listener and `errors` by all, as their labels are. `own` has the answers
    by status that the gateway gave for want of a better one, `unrouted` those among them that had no target.
    """

    __slots__ = (
        "cut",
        "duration",
        "errors",
        "evaluated",
        "key",
        "lambda_errors",
        "last_hit",
        "overhead",
        "own",
        "request_bytes",
        "requests",
        "response_bytes",
        "target_response",
        "unrouted",
    )

    def __init__(self, key: SeriesKey, overhead: Tally, errors: dict[tuple[int, str], int]) -> None:
        self.key = key
        self.overhead = overhead
        self.errors = errors
        self.requests: dict[tuple[bytes, int], int] = {}
        self.duration = Tally(DURATION_BUCKETS)
        self.target_response = Tally(DURATION_BUCKETS)
        self.request_bytes = 0
        self.response_bytes = 0
        self.last_hit = 0.0
        self.cut: dict[str, int] = {}
        self.lambda_errors: dict[str, int] = {}
        self.own: dict[int, int] = {}
        self.unrouted = 0
        self.evaluated = 0

    def record(self, record: RequestRecord) -> None:
        """Count one request that has ended. Bounded in memory whatever the client sends."""
        status = record.status
        try:
            self.requests[record.method, status] += 1
        except KeyError:
            label = record.method if record.method in METHODS else b"OTHER"
            self.requests[label, status] = self.requests.get((label, status), 0) + 1

        head_at = record.head_at
        # A tunnel lives for hours after its 101: as a duration that would say nothing about the target.
        seconds = (head_at if record.tunnel and head_at else record.ended_at) - record.received_at
        if seconds < 0.0:
            seconds = 0.0
        tally = self.duration
        # Most are in the first bucket, which need not be looked for.
        tally.counts[0 if seconds <= SHORTEST_DURATION else bisect_left(DURATION_BUCKETS, seconds)] += 1
        tally.sum += seconds
        if head_at:
            # A target may answer before it has the whole request.
            seconds = head_at - record.sent_at if 0.0 < record.sent_at < head_at else 0.0
            tally = self.target_response
            tally.counts[0 if seconds <= SHORTEST_DURATION else bisect_left(DURATION_BUCKETS, seconds)] += 1
            tally.sum += seconds
        seconds = record.overhead
        tally = self.overhead
        tally.counts[0 if seconds <= SHORTEST_OVERHEAD else bisect_left(OVERHEAD_BUCKETS, seconds)] += 1
        tally.sum += seconds

        self.request_bytes += record.request_bytes
        self.response_bytes += record.response_bytes
        if record.started_at > self.last_hit:
            self.last_hit = record.started_at
        if record.reason:
            self._record_failure(record)

    def _record_failure(self, record: RequestRecord) -> None:
        """Tell an answer of the gateway from a target's response that was cut short."""
        reason = record.reason
        if record.target_status and record.target_status == record.status:
            self.cut[reason] = self.cut.get(reason, 0) + 1
        else:
            status = record.status
            key = (status, reason)
            self.errors[key] = self.errors.get(key, 0) + 1
            self.own[status] = self.own.get(status, 0) + 1
            if reason.startswith("Lambda"):
                self.lambda_errors[reason] = self.lambda_errors.get(reason, 0) + 1
            if not record.target_id:
                self.unrouted += 1

    def take_evaluated(self) -> int:
        """How many requests were recorded since the last call."""
        total = sum(self.requests.values())
        new, self.evaluated = total - self.evaluated, total
        return new


class AuthSeries:
    """The counts of one kind of authentication action."""

    __slots__ = ("duration", "errors", "failures", "refreshed", "succeeded", "too_large")

    def __init__(self) -> None:
        self.succeeded = 0
        self.refreshed = 0
        self.too_large = 0
        self.failures: dict[str, int] = {}
        self.errors: dict[str, int] = {}
        self.duration = Tally(DURATION_BUCKETS)

    def failed(self, error: AuthenticationError) -> None:
        """Count a request that an authentication action ended."""
        if isinstance(error, ClaimsTooLargeError):
            self.too_large += 1
            return
        counts = self.errors if isinstance(error, LoginError | LoginRefusedError) else self.failures
        counts[error.reason] = counts.get(error.reason, 0) + 1

    def took(self, seconds: float) -> None:
        """Count how long an identity provider took."""
        self.duration.counts[bisect_left(DURATION_BUCKETS, seconds)] += 1
        self.duration.sum += seconds


class Metrics:
    """All series of this process.

    Args:
        retained: How many series of gone rules to keep.

    Attributes:
        condition_samples: Which values of conditions took requests.
    """

    def __init__(self, *, retained: int = RETAINED_SERIES) -> None:
        self._retained = retained
        self._series: dict[SeriesKey, RouteSeries] = {}
        self._gone: dict[SeriesKey, None] = {}
        self._serving: frozenset[tuple[str, str]] = frozenset()
        self._overhead: dict[str, Tally] = {}
        self._errors: dict[tuple[int, str], int] = {}
        self._rules_tried: dict[tuple[str, str], int] = {}
        self._evaluations: dict[str, int] = {}
        self._target_connections: dict[tuple[str, str], int] = {}
        self._noncompliant: dict[tuple[str, str, str], int] = {}
        self._invalid_headers: dict[tuple[str, str], int] = {}
        self._tls_failures: dict[str, int] = {}
        self._authentication: dict[str, AuthSeries] = {}
        self.condition_samples = ConditionSamples()

    def authentication(self, action: str) -> AuthSeries:
        """The counts of an authentication action: `authenticate-oidc`, `authenticate-cognito` or `jwt-validation`."""
        return self._authentication.setdefault(action, AuthSeries())

    def tls_negotiation_failed(self, listener: str) -> None:
        """Count one TLS handshake with a client that failed."""
        self._tls_failures[listener] = self._tls_failures.get(listener, 0) + 1

    def target_connection(self, target_group: str, result: ConnectResult) -> None:
        """Count one attempt to connect to a target for a request; health checks are not counted (alb.md 10)."""
        key = (target_group, result)
        self._target_connections[key] = self._target_connections.get(key, 0) + 1

    def noncompliant(self, listener: str, classification: str, reason: str) -> None:
        """Count a request that is not Compliant (alb.md 6.8); classes and reasons are those of one table."""
        key = (listener, classification, reason)
        self._noncompliant[key] = self._noncompliant.get(key, 0) + 1

    def invalid_header(self, listener: str, result: Literal["dropped", "forwarded"]) -> None:
        """Count a request with a header whose name the load balancer calls invalid (alb.md 6.4)."""
        key = (listener, result)
        self._invalid_headers[key] = self._invalid_headers.get(key, 0) + 1

    def series(self, listener: str, rule: str, target_group: str) -> RouteSeries:
        """Return the counts of this route, created at the first call; a rule that is back counts on."""
        key = (listener, rule, target_group)
        series = self._series.get(key)
        if series is None:
            overhead = self._overhead.setdefault(listener, Tally(OVERHEAD_BUCKETS))
            series = self._series[key] = RouteSeries(key, overhead, self._errors)
        return series

    def serving(self, rules: Iterable[tuple[str, str]]) -> None:
        """Take note of the (listener, rule) pairs of the table that now serves, each listener's in the order of trial.

        The default rule is a listener's last.

        Counters of rules that are gone stay, so that no counter goes back at a reload, up to `retained`
        series; over that the ones gone longest are forgotten. Requests still in flight under a forgotten rule
        are not counted any more.
        """
        rules = list(rules)
        self._count_evaluations()
        self._serving = frozenset(rules)
        for key in self._series:
            if not key[1] or key[:2] in self._serving:
                self._gone.pop(key, None)
            else:
                self._gone.setdefault(key)
        for key in list(self._gone)[: max(len(self._gone) - self._retained, 0)]:
            del self._gone[key]
            del self._series[key]
        listeners = {key[0] for key in self._series}
        self._overhead = {name: tally for name, tally in self._overhead.items() if name in listeners}
        known = {key[:2] for key in self._series}
        self._rules_tried = {rule: tried for rule, tried in self._rules_tried.items() if rule in known}
        self._rules_tried |= _rules_tried(rules)

    def snapshot(self, live: LiveState) -> Snapshot:
        """Return every metric of this process as plain data. It only copies: the event loop can bear it."""
        counters = self._counters()
        last_matches = families.CONDITION_LAST_MATCH, self.condition_samples.last_matches()
        gauges = self._last_hits(), last_matches, *_live_gauges(live)
        return {
            "values": {family.name: _values(samples) for family, samples in (*counters, *gauges) if samples},
            "distributions": {family.name: samples for family, samples in self._distributions() if samples},
        }

    def _count_evaluations(self) -> None:
        """Bring the rule evaluations up to date: a request costs as many as its rule's place in the table.

        Done at a scrape and before a new table, since a table says nothing about its requests' predecessors. What
        the index skips is counted as the load balancer would count it.
        """
        for (listener, rule, _), series in self._series.items():
            evaluations = series.take_evaluated() * self._rules_tried.get((listener, rule), 0)
            self._evaluations[listener] = self._evaluations.get(listener, 0) + evaluations

    def _counters(self) -> list[tuple[Family, dict[_Labels, float]]]:
        requests: dict[_Labels, float] = {}
        request_bytes: dict[_Labels, float] = {}
        response_bytes: dict[_Labels, float] = {}
        errors: dict[_Labels, float] = {
            (str(status), reason): count for (status, reason), count in self._errors.items()
        }
        lambda_errors: dict[_Labels, float] = {}
        cut: dict[_Labels, float] = {}
        routed: dict[_Labels, float] = {}
        by_targets: dict[_Labels, float] = {}
        fixed: dict[_Labels, float] = {}
        self._count_evaluations()
        for key, series in self._series.items():
            if not series.requests:
                continue
            route = key[1:]
            for (method, status), count in series.requests.items():
                requests[(*key, method.decode(), str(status))] = count
            request_bytes[route] = request_bytes.get(route, 0) + series.request_bytes
            response_bytes[route] = response_bytes.get(route, 0) + series.response_bytes
            for reason, count in series.cut.items():
                labels = (*route, reason)
                cut[labels] = cut.get(labels, 0) + count
            _, rule, target_group = key
            for reason, count in series.lambda_errors.items():
                lambda_errors[target_group, reason] = lambda_errors.get((target_group, reason), 0) + count
            if target_group:
                routed[key] = sum(series.requests.values()) - series.unrouted
                by_targets |= {(*key, str(status)): count for status, count in _not_own(series)}
            elif rule:
                # A redirect has 301 or 302, which a fixed response cannot have (alb.md 3.2, 3.3).
                fixed |= {(*key[:2], str(status)): count for status, count in _not_own(series) if status // 100 != 3}
        return [
            (families.REQUESTS, requests),
            (families.REQUEST_BYTES, request_bytes),
            (families.RESPONSE_BYTES, response_bytes),
            (families.ELB_ERRORS, errors),
            (families.LAMBDA_ERRORS, lambda_errors),
            (families.CUT_RESPONSES, cut),
            (families.ROUTED_REQUESTS, routed),
            (families.TARGET_RESPONSES, by_targets),
            (families.FIXED_RESPONSES, fixed),
            (families.CLIENT_TLS_ERRORS, {(name,): count for name, count in self._tls_failures.items()}),
            *self._logins(),
            (families.RULE_SAMPLES, self.condition_samples.sampled()),
            (families.CONDITION_MATCHES, self.condition_samples.matches()),
            (families.RULE_EVALUATIONS, {(name,): count for name, count in self._evaluations.items()}),
            (
                families.TARGET_CONNECTIONS_OPENED,
                {(*labels,): count for labels, count in self._target_connections.items()},
            ),
            (families.DESYNC_NONCOMPLIANT, {(*labels,): count for labels, count in self._noncompliant.items()}),
            (families.INVALID_HEADERS, {(*labels,): count for labels, count in self._invalid_headers.items()}),
        ]

    def _logins(self) -> list[tuple[Family, dict[_Labels, float]]]:
        logins = {action: series for action, series in self._authentication.items() if action != JWT_VALIDATION}
        tokens = self._authentication.get(JWT_VALIDATION, AuthSeries())
        failures: dict[_Labels, float] = {}
        errors: dict[_Labels, float] = {}
        for action, series in logins.items():
            failures |= {(action, reason): count for reason, count in series.failures.items()}
            errors |= {(action, reason): count for reason, count in series.errors.items()}
        return [
            (families.AUTH_SUCCESS, {(action,): series.succeeded for action, series in logins.items()}),
            (families.AUTH_FAILURE, failures),
            (families.AUTH_ERROR, errors),
            (families.AUTH_REFRESH_SUCCESS, {(action,): series.refreshed for action, series in logins.items()}),
            (families.AUTH_CLAIMS_SIZE_EXCEEDED, {(action,): series.too_large for action, series in logins.items()}),
            (families.JWT_FAILURES, {(reason,): count for reason, count in tokens.failures.items()}),
        ]

    def _distributions(self) -> list[tuple[Family, list[Distribution]]]:
        recorded = [series for series in self._series.values() if series.requests]
        return [
            (families.REQUEST_DURATION, _sum_by((series.key, series.duration) for series in recorded)),
            (
                families.TARGET_RESPONSE_DURATION,
                _sum_by((series.key[1:], series.target_response) for series in recorded),
            ),
            (families.OVERHEAD, _sum_by(((name,), tally) for name, tally in self._overhead.items())),
            (
                families.AUTH_DURATION,
                _sum_by(((action,), series.duration) for action, series in self._authentication.items()),
            ),
        ]

    def _last_hits(self) -> tuple[Family, dict[_Labels, float]]:
        """Of every rule that serves, also if it was never hit, and of gone ones as long as they are kept."""
        hits: dict[_Labels, float] = dict.fromkeys(sorted(self._serving), 0.0)
        for key, series in self._series.items():
            if key[1]:
                hits[key[:2]] = max(hits.get(key[:2], 0.0), series.last_hit)
        return families.RULE_LAST_HIT, hits


def _rules_tried(rules: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Rule to how many are tried for a request that it takes; the default rule, a listener's last, is not counted."""
    places = Counter[str]()
    tried: dict[tuple[str, str], int] = {}
    for listener, rule in rules:
        places[listener] += 1
        tried[listener, rule] = places[listener]
    for listener, rule in rules:
        if tried[listener, rule] == places[listener]:
            tried[listener, rule] -= 1
    return tried


def _not_own(series: RouteSeries) -> Iterator[tuple[int, int]]:
    """Status and count of the answers that were not the gateway's for want of a better one."""
    by_status = Counter[int]()
    for (_, status), count in series.requests.items():
        by_status[status] += count
    for status, count in by_status.items():
        count -= series.own.get(status, 0)
        if count:
            yield status, count


def _live_gauges(live: LiveState) -> list[tuple[Family, dict[_Labels, float]]]:
    reload = live.reload
    return [
        (
            families.IN_FLIGHT,
            {(name,): sum(in_flight for _, _, in_flight in targets) for name, targets in live.groups.items()},
        ),
        (
            families.TARGET_HEALTHY,
            {
                (name, target_id): float(healthy)
                for name, targets in live.groups.items()
                for target_id, healthy, _ in targets
            },
        ),
        (families.RULE_WEIGHT, {labels: float(weight) for labels, weight in live.weights.items()}),
        (families.RELOAD_SUCCESSFUL, {(): float(reload.successful)}),
        (families.RELOAD_TIMESTAMP, {(): reload.timestamp}),
        (families.RELOADS, {(result,): count for result, count in reload.counts.items()}),
        (families.LOG_DROPPED, {(): live.access_log_dropped}),
        (families.CONNECTION_LOG_DROPPED, {(): live.connection_log_dropped}),
        (families.SPANS_DROPPED, {(): live.spans_dropped}),
        (families.CLIENT_CONNECTIONS, {(): live.client_connections[0]}),
        (families.CLIENT_CONNECTIONS_OPENED, {(): live.client_connections[1]}),
        (families.TARGET_CONNECTIONS, {(name,): count for name, count in live.target_connections.items()}),
        (families.TARGETS, {(*labels,): count for labels, count in live.target_states.items()}),
        (families.TARGET_GROUP_INFO, {(*labels,): 1.0 for labels in live.target_types.items()}),
        (families.FAIL_OPEN, {(name,): float(is_open) for name, is_open in live.fail_open.items()}),
        (
            families.UNHEALTHY_ROUTING_REQUESTS,
            {(name,): count for name, count in live.unhealthy_routing_requests.items()},
        ),
        (families.ANOMALOUS_TARGETS, {(name,): count for name, (count, _) in live.anomalies.items()}),
        (families.MITIGATED_TARGETS, {(name,): count for name, (_, count) in live.anomalies.items()}),
        (families.NONSTICKY_REQUESTS, {(*labels,): count for labels, count in live.nonsticky_requests.items()}),
        (families.BUILD_INFO, {(__version__, platform.python_version()): 1.0}),
    ]


def _values(samples: dict[_Labels, float]) -> list[Value]:
    return [{"labels": list(labels), "value": value} for labels, value in samples.items()]


def _sum_by(tallies: Iterable[tuple[_Labels, Tally]]) -> list[Distribution]:
    """Sum those with equal labels, since listeners may share a rule's name; leave out the empty ones."""
    sums: dict[_Labels, Distribution] = {}
    for labels, tally in tallies:
        before = sums.get(labels)
        if before is not None:
            before["counts"] = [a + b for a, b in zip(before["counts"], tally.counts, strict=True)]
            before["sum"] += tally.sum
        elif any(tally.counts):
            sums[labels] = {"labels": list(labels), "counts": list(tally.counts), "sum": tally.sum}
    return list(sums.values())
