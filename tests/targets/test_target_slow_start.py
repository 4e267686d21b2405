"""Slow start and the thresholds of unhealthy state routing, in a group (alb.md 5.3, 5.8)."""

from __future__ import annotations

from collections import Counter

import pytest
from test_target_group import CHECK, USERS, Clock, make, target_at

from proxy.config.model import HealthCheckConfig, TargetConfig, TargetGroupAttributes, TargetGroupConfig
from proxy.targets.group import Member, TargetGroup
from proxy.targets.slow_start import share

A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"
SLOW = TargetGroupAttributes(slow_start_seconds=100)


def group_with(
    *addresses: str,
    clock: Clock | None = None,
    attributes: TargetGroupAttributes = SLOW,
    check: HealthCheckConfig = CHECK,
) -> TargetGroup:
    group = TargetGroup(TargetGroupConfig("users", (USERS,), check, attributes), clock=clock or Clock())
    group.set_addresses("users", addresses)
    return group


def slow(group: TargetGroup) -> set[str]:
    return {target.address for target in group.targets if target.slow_start_since is not None}


def turns(group: TargetGroup, count: int) -> Counter[str]:
    return Counter(group.pick().address for _ in range(count))


# --- entry and exit ---


def test_targets_that_are_registered_into_an_empty_group_do_not_enter() -> None:
    group = group_with(A, B)
    make(group, "healthy", A)
    make(group, "healthy", B)
    assert slow(group) == set()


def test_a_target_that_joins_enters_when_it_becomes_healthy() -> None:
    group = group_with(A)
    make(group, "healthy", A)
    group.set_addresses("users", [A, B])
    assert slow(group) == set()
    make(group, "healthy", B)
    assert slow(group) == {B}


def test_names_that_are_resolved_one_after_the_other_make_one_registration() -> None:
    entries = (TargetConfig("http", "one", 80), TargetConfig("http", "two", 80))
    group = TargetGroup(TargetGroupConfig("users", entries, CHECK, SLOW), clock=Clock())
    group.set_addresses("one", [A])
    make(group, "healthy", A)
    group.set_addresses("two", [B])
    make(group, "healthy", B)
    assert slow(group) == set()


def test_without_a_healthy_target_outside_slow_start_none_enters() -> None:
    group = group_with(A)
    make(group, "healthy", A)
    group.set_addresses("users", [A, B, C])
    make(group, "healthy", B)
    make(group, "unhealthy", A)
    make(group, "healthy", C)
    assert slow(group) == {B}


def test_a_target_that_recovers_enters_again() -> None:
    group = group_with(A, B)
    make(group, "healthy", A, B)
    make(group, "unhealthy", B)
    assert slow(group) == set()
    make(group, "healthy", B)
    assert slow(group) == {B}
    make(group, "unhealthy", B)
    assert slow(group) == set()


def test_it_ends_with_its_duration() -> None:
    clock = Clock()
    group = group_with(A, clock=clock)
    make(group, "healthy", A)
    group.set_addresses("users", [A, B])
    make(group, "healthy", B)
    clock.now += 99
    group.tend()
    assert slow(group) == {B}
    clock.now += 1
    group.tend()
    assert slow(group) == set()
    assert turns(group, 10) == {A: 5, B: 5}


def test_it_ends_with_deregistration() -> None:
    group = group_with(A)
    make(group, "healthy", A)
    group.set_addresses("users", [A, B])
    make(group, "healthy", B)
    group.set_addresses("users", [A])
    assert slow(group) == set()


def test_targets_that_are_healthy_when_it_is_turned_on_do_not_enter() -> None:
    before = group_with(A, B, attributes=TargetGroupAttributes())
    make(before, "healthy", A, B)
    group = TargetGroup(TargetGroupConfig("users", (USERS,), CHECK, SLOW), clock=Clock())
    group.carry_over(before)
    assert slow(group) == set()
    group.set_addresses("users", [A, B, C])
    make(group, "healthy", C)
    assert slow(group) == {C}


def test_an_address_that_a_new_table_adds_enters() -> None:
    literal = (TargetConfig("http", A, 8000), TargetConfig("http", B, 8000))
    before = TargetGroup(TargetGroupConfig("users", literal[:1], CHECK, SLOW), clock=Clock())
    make(before, "healthy", A)
    group = TargetGroup(TargetGroupConfig("users", literal, CHECK, SLOW), clock=Clock())
    group.carry_over(before)
    make(group, "healthy", B)
    assert slow(group) == {B}


def test_it_is_off_by_default() -> None:
    group = group_with(A, attributes=TargetGroupAttributes())
    make(group, "healthy", A)
    group.set_addresses("users", [A, B])
    make(group, "healthy", B)
    assert slow(group) == set()


def test_a_process_that_is_told_of_health_ramps_too() -> None:
    group = group_with()
    member = Member("http", A, 8000, "users", "healthy", "", "")
    group.mirror([member, member._replace(address=B)])
    assert slow(group) == set()
    group.mirror([member, member._replace(address=B), member._replace(address=C)])
    assert slow(group) == {C}


# --- share ---


@pytest.mark.parametrize(
    ("since", "now", "expected"),
    [(None, 50, 1.0), (0, 0, 0.0), (0, 25, 0.25), (0, 50, 0.5), (0, 100, 1.0), (0, 900, 1.0), (10, 5, 0.0)],
    ids=["outside", "at the start", "a quarter", "half way", "at the end", "long after", "a clock that went back"],
)
def test_the_share_grows_linearly(since: float | None, now: float, expected: float) -> None:
    assert share(since, now, 100) == expected


@pytest.mark.parametrize(
    ("after", "expected"),
    [(0, {A: 100}), (25, {A: 80, B: 20}), (50, {A: 67, B: 33}), (100, {A: 50, B: 50})],
    ids=["nothing at first", "a quarter of a share", "half a share", "a whole share"],
)
def test_turns_in_slow_start(after: float, expected: dict[str, int]) -> None:
    clock = Clock()
    group = group_with(A, clock=clock)
    make(group, "healthy", A)
    group.set_addresses("users", [A, B])
    make(group, "healthy", B)
    clock.now += after
    assert turns(group, 100) == expected


# --- unhealthy state routing ---


@pytest.mark.parametrize(
    ("count", "percentage", "healthy", "fail_open"),
    [
        pytest.param(1, None, 1, False, id="one is enough by default"),
        pytest.param(1, None, 0, True, id="none is not"),
        pytest.param(2, None, 1, True, id="one of two needed"),
        pytest.param(2, None, 2, False, id="two of two needed"),
        pytest.param(1, 50, 1, True, id="a quarter, half needed"),
        pytest.param(1, 50, 2, False, id="half, half needed"),
        pytest.param(3, 50, 2, True, id="the count is missed"),
        pytest.param(1, 76, 3, True, id="the percentage is missed by one"),
        pytest.param(9, None, 4, False, id="more needed than there are: all are healthy, so nothing is open"),
    ],
)
def test_unhealthy_state_routing(count: int, percentage: int | None, healthy: int, fail_open: bool) -> None:
    attributes = TargetGroupAttributes(minimum_healthy_count=count, minimum_healthy_percentage=percentage)
    addresses = [f"10.0.0.{number}" for number in range(4)]
    group = group_with(*addresses, attributes=attributes)
    make(group, "healthy", *addresses)
    make(group, "unhealthy", *addresses[healthy:])

    assert group.fail_open is fail_open
    assert len(group.eligible) == (4 if fail_open else healthy)
    turns(group, 8)
    assert group.unhealthy_routing_requests == (8 if fail_open else 0)


def test_requests_of_a_group_that_fails_open_count_on_after_a_reload() -> None:
    group = group_with(A)
    turns(group, 3)
    after = TargetGroup(group.config, clock=Clock())
    after.carry_over(group)
    assert after.find(target_at(after, A).url) is target_at(after, A)
    assert after.unhealthy_routing_requests == 4


# --- anomalies, in a group ---


def test_an_anomalous_target_is_shown_and_gets_less() -> None:
    clock = Clock()
    attributes = TargetGroupAttributes(algorithm="weighted_random", anomaly_mitigation=True)
    draws = iter([number / 100 for number in range(100)])
    config = TargetGroupConfig("users", (USERS,), CHECK, attributes)
    group = TargetGroup(config, clock=clock, draw=lambda: next(draws))
    group.set_addresses("users", [A, B, C])
    make(group, "healthy", A, B, C)
    group.tend()
    for target in group.targets:
        target.requests += 100
    target_at(group, C).failures += 100
    clock.now += 4
    group.tend()
    assert not target_at(group, C).is_anomalous
    clock.now += 1
    group.tend()

    shown = {target["id"]: target["anomaly_detection"] for target in group.describe()["targets"]}
    assert shown[f"{A}:8000"] == {"result": "normal", "mitigation_in_effect": "no"}
    assert shown[f"{C}:8000"] == {"result": "anomalous", "mitigation_in_effect": "yes"}
    assert turns(group, 100) == {A: 40, B: 40, C: 20}
    make(group, "unhealthy", C)
    assert not target_at(group, C).is_anomalous
    assert target_at(group, C).mitigated_share == 1
