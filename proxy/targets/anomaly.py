"""Anomaly detection and mitigation, also called automatic target weights (alb.md 5.2).

A target is `anomalous` when it fails clearly more often than its peers together: at least twice as often, and by more
than three standard errors of the difference, which chance does about once in a thousand looks. A failure is a 5xx
response or an error of the connection. How the real load balancer decides is not published; these figures are this
gateway's own.

Mitigation halves the share of an anomalous target at each look, down to a tenth: the rest is how its recovery is seen.
Once it fails no more often than its peers the target is `normal` and its share grows back by a tenth at each look.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final

from proxy.targets.target import Target

LOOK_SECONDS: Final = 5.0
"""Time between two looks."""
MIN_TARGETS: Final = 3
"""Fewest healthy targets with which peers can be compared (alb.md 5.2)."""
MIN_REQUESTS: Final = 10
"""Fewest requests on which a target is found anomalous."""
MIN_SHARE: Final = 0.1
SHARE_STEP: Final = 0.1
STANDARD_ERRORS: Final = 3.0


def is_anomalous(failures: float, requests: float, peer_failures: float, peer_requests: float) -> bool:
    """Whether a target fails clearly more often than its peers (two-proportion z-test, pooled)."""
    if requests < MIN_REQUESTS or peer_requests < MIN_REQUESTS:
        return False
    rate, peer_rate = failures / requests, peer_failures / peer_requests
    if rate < 2 * peer_rate or not failures:
        return False
    pooled = (failures + peer_failures) / (requests + peer_requests)
    error = sqrt(pooled * (1 - pooled) * (1 / requests + 1 / peer_requests))
    return rate - peer_rate > STANDARD_ERRORS * error


class _Window:
    """What is remembered of one target: older looks count half as much with each new one."""

    __slots__ = ("failures", "new_failures", "new_requests", "requests", "seen_failures", "seen_requests")

    def __init__(self, target: Target) -> None:
        self.requests = 0.0
        self.failures = 0.0
        self.new_requests = 0
        self.new_failures = 0
        self.seen_requests = target.requests
        self.seen_failures = target.failures

    def advance(self, target: Target) -> None:
        self.new_requests = target.requests - self.seen_requests
        self.new_failures = target.failures - self.seen_failures
        self.seen_requests, self.seen_failures = target.requests, target.failures
        self.requests = self.requests / 2 + self.new_requests
        self.failures = self.failures / 2 + self.new_failures

    def forget_old_looks(self) -> None:
        self.requests = self.new_requests
        self.failures = self.new_failures


class AnomalyDetector:
    """Compares the targets of one group, each time `look` is called."""

    def __init__(self, *, mitigates: bool) -> None:
        self.mitigates = mitigates
        self._windows: dict[Target, _Window] = {}

    def look(self, healthy: Sequence[Target]) -> list[Target]:
        """Judge the healthy targets by what happened since the last look; return those whose verdict changed.

        Sets `is_anomalous` and, with mitigation, `mitigated_share` of each.
        """
        windows = {target: self._windows.get(target) or _Window(target) for target in healthy}
        self._windows = windows
        for target, window in windows.items():
            window.advance(target)
        requests = sum(window.requests for window in windows.values())
        failures = sum(window.failures for window in windows.values())
        changed: list[Target] = []
        for target, window in windows.items():
            anomalous = len(windows) >= MIN_TARGETS and self._judge(target, window, failures, requests)
            if anomalous is not target.is_anomalous:
                target.is_anomalous = anomalous
                changed.append(target)
                window.forget_old_looks()
            target.mitigated_share = self._share(target, enough=len(windows) >= MIN_TARGETS)
        return changed

    def carry_over(self, previous: AnomalyDetector) -> None:
        """Go on with what another one has seen, after a reload."""
        self._windows = previous._windows

    def _judge(self, target: Target, window: _Window, failures: float, requests: float) -> bool:
        peer_failures, peer_requests = failures - window.failures, requests - window.requests
        if not target.is_anomalous:
            return is_anomalous(window.failures, window.requests, peer_failures, peer_requests)
        if window.new_requests < MIN_REQUESTS:
            # With its small share a target may not get the requests that a comparison needs: one failure tells.
            return window.new_failures > 0 or window.new_requests == 0
        return is_anomalous(window.new_failures, window.new_requests, peer_failures, peer_requests)

    def _share(self, target: Target, *, enough: bool) -> float:
        if not self.mitigates or not enough:
            return 1.0
        if target.is_anomalous:
            return max(target.mitigated_share / 2, MIN_SHARE)
        return min(round(target.mitigated_share + SHARE_STEP, 3), 1.0)
