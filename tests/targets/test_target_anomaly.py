"""Anomaly detection and mitigation (alb.md 5.2)."""

from __future__ import annotations

import pytest

from proxy.targets.anomaly import MIN_SHARE, AnomalyDetector, is_anomalous
from proxy.targets.target import Target


@pytest.mark.parametrize(
    ("failures", "requests", "peer_failures", "peer_requests", "expected"),
    [
        pytest.param(50, 100, 0, 200, True, id="half of the requests fail, peers are well"),
        pytest.param(5, 100, 0, 200, True, id="one in twenty fails, peers are well"),
        pytest.param(2, 100, 0, 200, False, id="two in a hundred may be chance"),
        pytest.param(0, 100, 0, 200, False, id="nobody fails"),
        pytest.param(0, 100, 100, 200, False, id="the peers are worse"),
        pytest.param(100, 100, 200, 200, False, id="everybody fails: no one is an exception"),
        pytest.param(100, 100, 100, 200, True, id="all fail here, half of them there: two of three are anomalous"),
        pytest.param(55, 100, 60, 200, False, id="clearly worse, but not twice as bad"),
        pytest.param(9, 9, 0, 200, False, id="too few requests to say"),
        pytest.param(10, 10, 0, 9, False, id="too few requests of peers to say"),
    ],
)
def test_verdict(failures: int, requests: int, peer_failures: int, peer_requests: int, expected: bool) -> None:
    assert is_anomalous(failures, requests, peer_failures, peer_requests) is expected


class Group:
    """Three targets and what becomes of requests to them."""

    def __init__(self, *, mitigates: bool = True, count: int = 3) -> None:
        self.targets = [Target("http", f"10.0.0.{number}", 80) for number in range(count)]
        self.detector = AnomalyDetector(mitigates=mitigates)
        self.detector.look(self.targets)

    def look(self, *outcomes: tuple[int, int]) -> list[Target]:
        """Send (requests, failures) to each target in turn, then look."""
        for target, (requests, failures) in zip(self.targets, outcomes, strict=True):
            target.requests += requests
            target.failures += failures
        return self.detector.look(self.targets)

    @property
    def shares(self) -> list[float]:
        return [target.mitigated_share for target in self.targets]


def test_mitigation_lowers_the_share_and_ramps_it_back() -> None:
    group = Group()
    bad = group.targets[2]

    assert group.look((100, 0), (100, 0), (100, 50)) == [bad]
    assert group.shares == [1, 1, 0.5]
    shares = []
    for _ in range(4):
        assert group.look((100, 0), (100, 0), (100, 50)) == []
        shares.append(bad.mitigated_share)
    assert shares == [0.25, 0.125, MIN_SHARE, MIN_SHARE]

    assert group.look((100, 0), (100, 0), (10, 0)) == [bad]
    assert not bad.is_anomalous
    ramp = [bad.mitigated_share]
    while bad.mitigated_share < 1:
        group.look((100, 0), (100, 0), (50, 0))
        ramp.append(bad.mitigated_share)
    assert ramp == [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


@pytest.mark.parametrize(
    ("outcome", "anomalous"),
    [
        pytest.param((0, 0), True, id="no request: nothing is known"),
        pytest.param((3, 1), True, id="few requests, one fails"),
        pytest.param((3, 0), False, id="few requests, all well"),
        pytest.param((1000, 10), False, id="no more failures than its peers"),
        pytest.param((1000, 500), True, id="as bad as before"),
    ],
)
def test_when_an_anomalous_target_is_normal_again(outcome: tuple[int, int], anomalous: bool) -> None:
    group = Group()
    group.look((1000, 10), (1000, 10), (1000, 500))
    assert group.targets[2].is_anomalous

    group.look((1000, 10), (1000, 10), outcome)

    assert group.targets[2].is_anomalous is anomalous


def test_two_targets_cannot_be_compared() -> None:
    group = Group(count=2)
    assert group.look((100, 0), (100, 100)) == []
    assert group.shares == [1, 1]


def test_without_mitigation_an_anomaly_is_only_shown() -> None:
    group = Group(mitigates=False)
    assert group.look((100, 0), (100, 0), (100, 100)) == [group.targets[2]]
    assert group.shares == [1, 1, 1]


def test_with_fewer_than_three_healthy_targets_nothing_is_mitigated() -> None:
    group = Group()
    group.look((100, 0), (100, 0), (100, 100))
    group.detector.look(group.targets[1:])
    assert not group.targets[2].is_anomalous
    assert group.shares == [1, 1, 1]


def test_what_happened_before_the_first_look_does_not_count() -> None:
    targets = [Target("http", f"10.0.0.{number}", 80) for number in range(3)]
    for target in targets:
        target.requests = 1000
    targets[0].failures = 1000
    detector = AnomalyDetector(mitigates=True)

    assert detector.look(targets) == []
    assert detector.look(targets) == []
