"""Membership, balancing and reload of a target group."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.model import HealthCheckConfig, TargetConfig, TargetGroupAttributes, TargetGroupConfig
from proxy.errors import NoTargetError
from proxy.targets.group import TargetGroup
from proxy.targets.health import ProbeResult
from proxy.targets.target import HealthReason, Target

PASS = ProbeResult(status=200)
FAIL = ProbeResult(status=500)
CHECK = HealthCheckConfig()
USERS = TargetConfig("http", "users", 8000)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def config(*entries: TargetConfig, check: HealthCheckConfig = CHECK, delay: int = 300) -> TargetGroupConfig:
    return TargetGroupConfig("users", entries or (USERS,), check, TargetGroupAttributes(delay))


def group_of(*addresses: str, clock: Clock | None = None, delay: int = 300) -> TargetGroup:
    """The group `users` with one name that resolves to `addresses`."""
    group = TargetGroup(config(delay=delay), clock=clock or Clock())
    if addresses:
        group.set_addresses("users", addresses)
    return group


def target_at(group: TargetGroup, address: str) -> Target:
    (target,) = (target for target in group.targets if target.address == address)
    return target


def make(group: TargetGroup, state: str, *addresses: str) -> None:
    """Bring targets into a state the way the checker does."""
    for address in addresses:
        for result in {"healthy": [PASS] * 5, "unhealthy": [FAIL] * 2}[state]:
            group.observe(target_at(group, address), result)


def states(group: TargetGroup) -> dict[str, str]:
    return {target.address: str(target.state) for target in group.targets}


# --- which targets take requests ---


@pytest.mark.parametrize(
    ("healthy", "unhealthy", "eligible", "fail_open"),
    [
        pytest.param("ab", "", "ab", False, id="the healthy ones; initial waits for its first pass"),
        pytest.param("a", "bc", "a", False, id="one healthy target takes everything"),
        pytest.param("", "", "abc", True, id="all initial: fail open"),
        pytest.param("", "abc", "abc", True, id="all unhealthy: fail open"),
        pytest.param("", "ab", "abc", True, id="unhealthy and initial: fail open over both"),
    ],
)
def test_eligible_targets(healthy: str, unhealthy: str, eligible: str, fail_open: bool) -> None:
    address = {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}
    group = group_of(*address.values())
    make(group, "healthy", *(address[name] for name in healthy))
    make(group, "unhealthy", *(address[name] for name in unhealthy))

    assert [target.address for target in group.eligible] == [address[name] for name in eligible]
    assert group.fail_open is fail_open
    assert {group.pick() for _ in range(6)} == set(group.eligible)


def test_a_group_without_health_checks_routes_to_all_and_does_not_fail_open() -> None:
    group = TargetGroup(config(TargetConfig("http", "10.0.0.1", 80), check=HealthCheckConfig(enabled=False)))

    assert group.pick().reason is HealthReason.HEALTH_CHECK_DISABLED
    assert not group.fail_open
    assert group.checked_targets == ()


def test_a_group_that_no_rule_uses_has_unused_targets_and_takes_no_requests() -> None:
    group = TargetGroup(config(TargetConfig("http", "10.0.0.1", 80)), in_use=False)

    assert states(group) == {"10.0.0.1": "unused"}
    assert group.checked_targets == ()
    with pytest.raises(NoTargetError, match="not used by any rule"):
        group.pick()


def test_no_registered_target_names_the_group_and_the_cause() -> None:
    group = group_of()
    group.set_resolve_error("users", "users does not resolve: unknown name")

    with pytest.raises(NoTargetError, match="target group users has no registered target: users does not"):
        group.pick()


def test_round_robin_takes_turns_in_the_order_of_the_group() -> None:
    group = group_of("10.0.0.1", "10.0.0.2", "10.0.0.3")

    assert [group.pick().address[-1] for _ in range(7)] == list("1231231")


def test_pick_other_returns_the_least_busy_of_those_that_did_not_fail() -> None:
    group = group_of("10.0.0.1", "10.0.0.2", "10.0.0.3")
    failed = target_at(group, "10.0.0.2")
    target_at(group, "10.0.0.1").in_flight = 1

    assert group.pick_other(failed) is target_at(group, "10.0.0.3")
    assert group_of("10.0.0.1").pick_other(failed) is not None
    alone = group_of("10.0.0.2")
    assert alone.pick_other(alone.pick()) is None


def test_pick_other_takes_no_turn() -> None:
    """A refusing target got three of four requests of two: each retry's turn made it the next one again."""
    group = group_of("10.0.0.1", "10.0.0.2")
    first = group.pick()
    group.pick_other(first)

    assert group.pick() is not first


def test_each_scheme_port_and_address_is_a_target_of_its_own_and_doubles_are_one() -> None:
    group = TargetGroup(
        config(
            TargetConfig("http", "10.0.0.1", 80),
            TargetConfig("http", "10.0.0.1", 81),
            TargetConfig("https", "10.0.0.1", 80),
            TargetConfig("http", "10.0.0.1", 80),
            TargetConfig("http", "0:0::1", 80),
            TargetConfig("http", "::1", 80),
        )
    )

    assert [target.key for target in group.targets] == [
        ("http", "10.0.0.1", 80),
        ("http", "10.0.0.1", 81),
        ("https", "10.0.0.1", 80),
        ("http", "::1", 80),
    ]


# --- membership ---


def test_an_address_that_goes_drains_for_the_whole_delay_and_is_then_removed() -> None:
    clock, removed = Clock(), list[Target]()
    group = TargetGroup(config(delay=30), clock=clock, on_removed=removed.append)
    group.set_addresses("users", ["10.0.0.1", "10.0.0.2"])
    gone = target_at(group, "10.0.0.1")

    group.set_addresses("users", ["10.0.0.2"])
    assert (gone.state, gone.reason) == ("draining", "Target.DeregistrationInProgress")
    assert {group.pick().address for _ in range(4)} == {"10.0.0.2"}

    clock.now += 29.5
    group.remove_drained()
    assert states(group) == {"10.0.0.1": "draining", "10.0.0.2": "initial"}
    assert group.seconds_to_next_removal() == 0.5
    assert removed == []

    clock.now += 0.5
    group.remove_drained()
    assert states(group) == {"10.0.0.2": "initial"}
    assert (gone.state, gone.reason) == ("unused", "Target.NotRegistered")
    assert removed == [gone]
    assert group.seconds_to_next_removal() is None


def test_no_check_result_revives_a_draining_or_a_removed_target() -> None:
    group = group_of("10.0.0.1", "10.0.0.2", delay=0)
    gone = target_at(group, "10.0.0.1")
    group.set_addresses("users", ["10.0.0.2"])

    group.observe(gone, PASS)
    assert gone.state == "draining"
    group.remove_drained()
    group.observe(gone, PASS)
    assert gone.state == "unused"
    assert gone not in group.eligible


def test_an_address_that_comes_back_while_it_drains_is_registered_anew() -> None:
    clock = Clock()
    group = group_of("10.0.0.1", "10.0.0.2", clock=clock)
    make(group, "healthy", "10.0.0.1", "10.0.0.2")
    back = target_at(group, "10.0.0.1")
    back.in_flight, back.requests = 3, 70
    group.set_addresses("users", ["10.0.0.2"])
    group.set_addresses("users", ["10.0.0.1", "10.0.0.2"])

    assert target_at(group, "10.0.0.1") is back
    assert (back.state, back.in_flight, back.requests) == ("initial", 3, 70)
    assert group.seconds_to_next_removal() is None
    make(group, "healthy", "10.0.0.1")
    assert back in group.eligible


def test_a_name_that_fails_to_resolve_keeps_its_addresses_and_shows_the_failure() -> None:
    group = group_of("10.0.0.1")
    group.set_resolve_error("users", "users does not resolve: try again")

    assert states(group) == {"10.0.0.1": "initial"}
    assert group.resolve_error == "users does not resolve: try again"
    group.set_addresses("users", ["10.0.0.1"])
    assert group.resolve_error is None


def test_settled_is_a_group_with_every_name_answered_and_every_target_judged() -> None:
    group = group_of()
    assert not group.is_settled
    group.set_addresses("users", ["10.0.0.1"])
    assert not group.is_settled
    make(group, "healthy", "10.0.0.1")
    assert group.is_settled


def test_describe_is_what_the_admin_api_shows() -> None:
    clock = Clock()
    group = group_of("10.0.0.1", clock=clock)
    clock.now += 7
    make(group, "unhealthy", "10.0.0.1")
    clock.now += 5
    group.pick().requests += 1

    assert group.describe(wall_clock=lambda: 1_700_000_000.0) == {
        "name": "users",
        "in_use": True,
        "fail_open": True,
        "resolve_error": None,
        "targets": [
            {
                "id": "10.0.0.1:8000",
                "host": "users",
                "scheme": "http",
                "state": "unhealthy",
                "reason": "Target.ResponseCodeMismatch",
                "detail": "got 500, wanted 200",
                "in_flight": 0,
                "requests": 1,
                "since": 1_699_999_995.0,
                "slow_start": False,
                "anomaly_detection": {"result": "normal", "mitigation_in_effect": "no"},
            }
        ],
    }


# --- reload ---


def test_a_reload_keeps_the_target_objects_with_their_health_and_counts() -> None:
    old = group_of("10.0.0.1", "10.0.0.2")
    make(old, "healthy", "10.0.0.1")
    make(old, "unhealthy", "10.0.0.2")
    old.pick().in_flight = 4
    new = TargetGroup(config(), clock=Clock())
    new.carry_over(old)

    assert new.targets == old.targets
    assert states(new) == {"10.0.0.1": "healthy", "10.0.0.2": "unhealthy"}
    assert new.pick().in_flight == 4


def test_a_reload_logs_the_targets_that_are_new_and_no_others(caplog: pytest.LogCaptureFixture) -> None:
    """What is built and never put in force says nothing."""
    with caplog.at_level("INFO", "proxy.targets.group"):
        old = group_of("10.0.0.1")
        old.announce()
        new = group_of("10.0.0.1", "10.0.0.2")
        new.carry_over(old)
        new.announce({target.key for target in old.targets})
        new.set_addresses("users", ["10.0.0.1", "10.0.0.2", "10.0.0.3"])

    assert [record.getMessage().split()[1] for record in caplog.records] == [
        "10.0.0.1:8000",
        "10.0.0.2:8000",
        "10.0.0.3:8000",
    ]


def test_round_robin_goes_on_over_a_reload() -> None:
    old = group_of("10.0.0.1", "10.0.0.2")
    first = old.pick()
    new = TargetGroup(config())
    new.carry_over(old)

    assert new.pick() is not first


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(HealthCheckConfig(), id="same settings: the second failure turns it"),
        pytest.param(HealthCheckConfig(path="/other"), id="other settings: the count restarts"),
    ],
)
def test_the_streak_restarts_only_when_the_settings_change(check: HealthCheckConfig) -> None:
    old = group_of("10.0.0.1")
    make(old, "healthy", "10.0.0.1")
    old.observe(old.pick(), FAIL)
    new = TargetGroup(config(check=check), clock=Clock())
    new.carry_over(old)
    new.observe(new.pick(), FAIL)

    assert new.pick().state == ("healthy" if check.path == "/other" else "unhealthy")


def test_a_target_that_the_new_table_drops_drains_in_the_new_group() -> None:
    old = TargetGroup(config(TargetConfig("http", "10.0.0.1", 80), TargetConfig("http", "10.0.0.2", 80)))
    new = TargetGroup(config(TargetConfig("http", "10.0.0.2", 80)))
    new.carry_over(old)

    assert states(new) == {"10.0.0.2": "initial", "10.0.0.1": "draining"}
    assert {target.address for target in new.eligible} == {"10.0.0.2"}


def test_writing_the_same_target_by_name_does_not_drain_it_while_the_name_is_looked_up() -> None:
    old = TargetGroup(config(TargetConfig("http", "10.0.0.1", 8000)), clock=Clock())
    make(old, "healthy", "10.0.0.1")
    new = TargetGroup(config(USERS), clock=Clock())
    new.carry_over(old)
    assert states(new) == {"10.0.0.1": "healthy"}

    new.set_addresses("users", ["10.0.0.1"])
    assert states(new) == {"10.0.0.1": "healthy"}
    assert new.pick().host == "users"


def test_a_name_that_was_replaced_drains_its_targets_once_the_new_name_is_known() -> None:
    old = group_of("10.0.0.1")
    new = TargetGroup(config(TargetConfig("http", "users-v2", 8000)), clock=Clock())
    new.carry_over(old)
    assert new.pick().address == "10.0.0.1"

    new.set_addresses("users-v2", ["10.0.0.9"])
    assert states(new) == {"10.0.0.1": "draining", "10.0.0.9": "initial"}


def test_a_name_that_fails_to_resolve_during_a_reload_keeps_the_addresses_it_had() -> None:
    old = group_of("10.0.0.1")
    new = TargetGroup(config(), clock=Clock())
    new.set_resolve_error("users", "users does not resolve: try again")
    new.carry_over(old)

    assert new.pick() is old.pick()


def test_a_draining_target_goes_on_draining_over_a_reload() -> None:
    clock = Clock()
    old = group_of("10.0.0.1", "10.0.0.2", clock=clock, delay=30)
    old.set_addresses("users", ["10.0.0.2"])
    clock.now += 20
    new = TargetGroup(config(delay=30), clock=clock)
    new.carry_over(old)

    assert states(new)["10.0.0.1"] == "draining"
    assert new.seconds_to_next_removal() == 10


# --- properties ---

ADDRESSES = [f"10.0.0.{number}" for number in range(1, 6)]
STEPS = st.one_of(
    st.tuples(st.just("resolve"), st.lists(st.sampled_from(ADDRESSES), min_size=1, unique=True)),
    st.tuples(st.sampled_from(["pass", "fail"]), st.sampled_from(ADDRESSES)),
    st.tuples(st.just("error"), st.none()),
    st.tuples(st.just("wait"), st.integers(1, 40)),
    st.tuples(st.just("reload"), st.sampled_from(["/", "/other"])),
)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, max_size=40))
def test_whatever_happens_requests_go_evenly_to_the_targets_that_may_take_them(steps: list[tuple]) -> None:
    """Only registered targets take requests, the healthy ones if there are any, each as often as another."""
    clock, removed = Clock(), list[Target]()
    group = TargetGroup(config(delay=30), clock=clock, on_removed=removed.append)
    resolved: set[str] = set()
    for action, value in steps:
        if action == "resolve":
            group.set_addresses("users", value)
            resolved = set(value)
        elif action == "error":
            group.set_resolve_error("users", "users does not resolve")
        elif action == "wait":
            clock.now += value
            group.remove_drained()
        elif action == "reload":
            check = HealthCheckConfig(path=value)
            following = TargetGroup(config(check=check, delay=30), clock=clock, on_removed=removed.append)
            following.carry_over(group)
            group = following
        else:
            for target in group.targets:
                if target.address == value:
                    group.observe(target, PASS if action == "pass" else FAIL)

        registered = {target for target in group.targets if target.state != "draining"}
        assert {target.address for target in registered} == resolved
        healthy = {target for target in registered if target.state == "healthy"}
        expected = healthy or registered
        if not expected:
            with pytest.raises(NoTargetError):
                group.pick()
            continue
        picks = Counter(group.pick() for _ in range(3 * len(expected)))
        assert picks == dict.fromkeys(expected, 3)
        assert not expected & set(removed)
