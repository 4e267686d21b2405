"""The health of a target as a pure state machine: no clock, no I/O (alb.md 5.7).

The way of a target that is checked:

    initial --first pass--> healthy --failures in a row--> unhealthy --passes in a row--> healthy
       +---------------------failures in a row--------------^

Three states stand outside it. `draining` belongs to the group and no check changes it. `unused` is every
target of a group that no rule names: it is not checked. `unavailable` is every target of a group whose health
checks are switched off: nothing speaks against such a target, so it takes requests as a healthy one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from proxy.config.model import HealthCheckConfig, TargetGroupAttributes
from proxy.targets.target import HealthReason, HealthState

CHECKED_STATES = frozenset({HealthState.INITIAL, HealthState.HEALTHY, HealthState.UNHEALTHY})
"""States that a health check can change; a target in another one is not probed."""

ROUTABLE_STATES = frozenset({HealthState.HEALTHY, HealthState.UNAVAILABLE})
"""States in which a target takes requests without the group failing open."""


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """What is known of one target's health; `streak` counts checks in a row that speak against `state`."""

    state: HealthState = HealthState.INITIAL
    reason: HealthReason = HealthReason.REGISTRATION_IN_PROGRESS
    detail: str = ""
    streak: int = 0


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one health check saw: the status of the response, or why there was none.

    `failure` is `HealthReason.NONE` exactly when `status` is a number; `detail` then stays empty.
    """

    status: int | None = None
    failure: HealthReason = HealthReason.NONE
    detail: str = ""


DRAINING = TargetHealth(HealthState.DRAINING, HealthReason.DEREGISTRATION_IN_PROGRESS)
REMOVED = TargetHealth(HealthState.UNUSED, HealthReason.NOT_REGISTERED)


def registered(config: HealthCheckConfig, *, in_use: bool) -> TargetHealth:
    """Return the health a target is registered with."""
    if not in_use:
        return TargetHealth(HealthState.UNUSED, HealthReason.NOT_IN_USE, "no rule forwards to its target group")
    if not config.enabled:
        return TargetHealth(HealthState.UNAVAILABLE, HealthReason.HEALTH_CHECK_DISABLED, "health checks are off")
    return TargetHealth()


def first_check_begins(health: TargetHealth) -> TargetHealth:
    """Return the health once a check is under way: a registration in progress becomes initial checking."""
    if health.reason is HealthReason.REGISTRATION_IN_PROGRESS:
        return replace(health, reason=HealthReason.INITIAL_HEALTH_CHECKING)
    return health


def observe(health: TargetHealth, result: ProbeResult, config: HealthCheckConfig) -> TargetHealth:
    """Return the health of a target after one more health check.

    The first pass ends `initial`, whatever the threshold; every other turn needs as many equal results in a
    row as the threshold says. A failure of the gateway itself (`Elb.InternalError`) counts as a failure, as
    in the API. Health in a state outside CHECKED_STATES is returned unchanged.

    Source: alb.md 5.7.
    """
    if health.state not in CHECKED_STATES:
        return health
    reason, detail = judge(result, config)
    if reason is HealthReason.NONE:
        return _passed(health, config.healthy_threshold_count)
    return _failed(health, reason, detail, config.unhealthy_threshold_count)


def carried(health: TargetHealth, config: HealthCheckConfig, *, in_use: bool, same_checks: bool) -> TargetHealth:
    """Return the health under a new table: the state stays where the new table still checks the target.

    With other health check settings (`same_checks` False) the streak restarts: results of two different
    checks are not counted together. A target that was not checked before and now is begins at `initial`.
    """
    if health.state is HealthState.DRAINING:
        return health
    start = registered(config, in_use=in_use)
    if start.state is not HealthState.INITIAL or health.state not in CHECKED_STATES:
        return start
    return health if same_checks else replace(health, streak=0)


def has_enough_healthy(healthy: int, registered: int, attributes: TargetGroupAttributes) -> bool:
    """Whether only healthy targets take requests; if not, all registered ones do (alb.md 5.8)."""
    percentage = attributes.minimum_healthy_percentage
    if healthy < attributes.minimum_healthy_count:
        return False
    return percentage is None or healthy * 100 >= percentage * registered


def judge(result: ProbeResult, config: HealthCheckConfig) -> tuple[HealthReason, str]:
    """Return why a result fails, with a sentence for people; (`HealthReason.NONE`, "") when it passes."""
    if result.status is None:
        return result.failure, result.detail
    if matches(result.status, config.matcher):
        return HealthReason.NONE, ""
    return HealthReason.RESPONSE_CODE_MISMATCH, f"got {result.status}, wanted {matcher_text(config.matcher)}"


def matches(status: int, matcher: Sequence[tuple[int, int]]) -> bool:
    """Whether a status lies in one of the ranges, both ends included."""
    return any(low <= status <= high for low, high in matcher)


def matcher_text(matcher: Sequence[tuple[int, int]]) -> str:
    """A matcher as the API writes it: `200,301-302`."""
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in matcher)


def _passed(health: TargetHealth, threshold: int) -> TargetHealth:
    streak = health.streak + 1
    if health.state is HealthState.UNHEALTHY and streak < threshold:
        return replace(health, streak=streak, detail=f"passed {streak} of {threshold} checks in a row")
    return TargetHealth(HealthState.HEALTHY, HealthReason.NONE)


def _failed(health: TargetHealth, reason: HealthReason, detail: str, threshold: int) -> TargetHealth:
    if health.state is HealthState.UNHEALTHY:
        return TargetHealth(HealthState.UNHEALTHY, reason, detail)
    streak = health.streak + 1
    if streak >= threshold:
        return TargetHealth(HealthState.UNHEALTHY, reason, detail)
    so_far = f"{detail} (failed {streak} of {threshold} checks in a row)"
    return replace(first_check_begins(health), streak=streak, detail=so_far)
