"""The health of a target after a run of checks, as a table (alb.md 5.7)."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.model import HealthCheckConfig
from proxy.targets.health import (
    DRAINING,
    ProbeResult,
    TargetHealth,
    carried,
    first_check_begins,
    matcher_text,
    matches,
    observe,
    registered,
)
from proxy.targets.target import HealthReason, HealthState

POLICY = HealthCheckConfig(healthy_threshold_count=3, unhealthy_threshold_count=2, matcher=((200, 299),))
RESULTS = {
    "+": ProbeResult(status=204),
    "-": ProbeResult(status=500),
    "t": ProbeResult(failure=HealthReason.TIMEOUT, detail="no response within 5 s"),
    "c": ProbeResult(failure=HealthReason.FAILED_HEALTH_CHECKS, detail="connection refused while connecting"),
    "i": ProbeResult(failure=HealthReason.INTERNAL_ERROR, detail="the check itself failed: KeyError"),
}


def after(checks: str, config: HealthCheckConfig = POLICY) -> TargetHealth:
    health = registered(config, in_use=True)
    for check in checks:
        health = observe(first_check_begins(health), RESULTS[check], config)
    return health


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        pytest.param("", "initial", id="a registered target is initial"),
        pytest.param("+", "healthy", id="the first pass ends initial, whatever the threshold"),
        pytest.param("-", "initial", id="one failure of two leaves initial"),
        pytest.param("-+", "healthy", id="a first pass ends initial after a failure too"),
        pytest.param("--", "unhealthy", id="a target that never passed turns unhealthy at the threshold"),
        pytest.param("+-", "healthy", id="one failure does not turn a healthy target"),
        pytest.param("+--", "unhealthy", id="two failures in a row do"),
        pytest.param("+-+-", "healthy", id="a pass between two failures restarts the count"),
        pytest.param("+-t", "unhealthy", id="failures of different kinds count together"),
        pytest.param("+--+", "unhealthy", id="one pass does not bring it back"),
        pytest.param("+--++", "unhealthy", id="two passes of three do not"),
        pytest.param("+--+++", "healthy", id="three passes in a row do"),
        pytest.param("+--++-+", "unhealthy", id="a failure between the passes restarts the count"),
        pytest.param("--+", "unhealthy", id="the first-pass rule holds for initial only"),
        pytest.param("+ii", "unhealthy", id="failures of the gateway itself count"),
    ],
)
def test_state_after_a_run_of_checks(checks: str, expected: str) -> None:
    assert after(checks).state == expected


@pytest.mark.parametrize(
    ("checks", "reason", "detail"),
    [
        pytest.param("+", "", "", id="a healthy target has no reason"),
        pytest.param(
            "-",
            "Elb.InitialHealthChecking",
            "got 500, wanted 200-299 (failed 1 of 2 checks in a row)",
            id="initial tells how far it is",
        ),
        pytest.param(
            "+t",
            "",
            "no response within 5 s (failed 1 of 2 checks in a row)",
            id="a healthy target that begins to fail keeps no reason and says so",
        ),
        pytest.param("+t+", "", "", id="a pass clears the detail"),
        pytest.param("+--", "Target.ResponseCodeMismatch", "got 500, wanted 200-299", id="the status and the matcher"),
        pytest.param("+-t", "Target.Timeout", "no response within 5 s", id="the last failure gives the reason"),
        pytest.param(
            "+--c",
            "Target.FailedHealthChecks",
            "connection refused while connecting",
            id="a later failure of another kind replaces it",
        ),
        pytest.param("ii", "Elb.InternalError", "the check itself failed: KeyError", id="the gateway's own fault"),
        pytest.param(
            "--++",
            "Target.ResponseCodeMismatch",
            "passed 2 of 3 checks in a row",
            id="a recovering target keeps its reason and counts its passes",
        ),
    ],
)
def test_reason_and_detail(checks: str, reason: str, detail: str) -> None:
    health = after(checks)

    assert (health.reason, health.detail) == (reason, detail)


def test_registration_in_progress_lasts_until_the_first_check_begins() -> None:
    health = registered(POLICY, in_use=True)

    assert health.reason is HealthReason.REGISTRATION_IN_PROGRESS
    assert first_check_begins(health).reason is HealthReason.INITIAL_HEALTH_CHECKING
    assert first_check_begins(after("+")) == after("+")


@pytest.mark.parametrize(
    ("enabled", "in_use", "state", "reason"),
    [
        pytest.param(True, True, "initial", "Elb.RegistrationInProgress", id="checked"),
        pytest.param(False, True, "unavailable", "Target.HealthCheckDisabled", id="health checks off"),
        pytest.param(True, False, "unused", "Target.NotInUse", id="no rule names the group"),
        pytest.param(False, False, "unused", "Target.NotInUse", id="not in use comes first"),
    ],
)
def test_health_at_registration(enabled: bool, in_use: bool, state: str, reason: str) -> None:
    health = registered(HealthCheckConfig(enabled=enabled), in_use=in_use)

    assert (health.state, health.reason) == (state, reason)


@pytest.mark.parametrize(
    "health",
    [
        pytest.param(DRAINING, id="draining"),
        pytest.param(registered(POLICY, in_use=False), id="unused"),
        pytest.param(registered(HealthCheckConfig(enabled=False), in_use=True), id="unavailable"),
    ],
)
@pytest.mark.parametrize("check", sorted(RESULTS))
def test_no_check_changes_a_target_that_is_not_checked(health: TargetHealth, check: str) -> None:
    assert observe(health, RESULTS[check], HealthCheckConfig(unhealthy_threshold_count=2)) == health


@pytest.mark.parametrize(
    ("before", "same_checks", "more", "expected"),
    [
        pytest.param("+-", True, "-", "unhealthy", id="same settings: the count goes on"),
        pytest.param("+-", False, "-", "healthy", id="other settings: the count restarts"),
        pytest.param("+-", False, "--", "unhealthy", id="other settings: and counts again"),
        pytest.param("+--", False, "", "unhealthy", id="other settings: the state stays"),
        pytest.param("+--++", False, "+", "unhealthy", id="other settings: passes restart as well"),
    ],
)
def test_health_over_a_reload(before: str, same_checks: bool, more: str, expected: str) -> None:
    health = carried(after(before), POLICY, in_use=True, same_checks=same_checks)
    for check in more:
        health = observe(health, RESULTS[check], POLICY)

    assert health.state == expected


@pytest.mark.parametrize(
    ("before", "enabled", "in_use", "expected"),
    [
        pytest.param(after("+"), False, True, "unavailable", id="checks switched off"),
        pytest.param(after("--"), False, True, "unavailable", id="checks switched off free an unhealthy target"),
        pytest.param(TargetHealth(HealthState.UNAVAILABLE), True, True, "initial", id="checks switched on"),
        pytest.param(after("+"), True, False, "unused", id="last rule gone"),
        pytest.param(TargetHealth(HealthState.UNUSED), True, True, "initial", id="first rule came"),
        pytest.param(DRAINING, True, False, "draining", id="draining stays draining"),
    ],
)
def test_health_when_a_reload_changes_what_is_checked(
    before: TargetHealth, enabled: bool, in_use: bool, expected: str
) -> None:
    config = HealthCheckConfig(enabled=enabled)

    assert carried(before, config, in_use=in_use, same_checks=False).state == expected


@pytest.mark.parametrize(
    ("matcher", "text", "good", "bad"),
    [
        pytest.param(((200, 200),), "200", [200], [199, 201, 500], id="one code"),
        pytest.param(((200, 299),), "200-299", [200, 250, 299], [199, 300], id="a range, both ends included"),
        pytest.param(((200, 200), (301, 302)), "200,301-302", [200, 301, 302], [201, 300, 303], id="a list"),
    ],
)
def test_matcher(matcher: tuple[tuple[int, int], ...], text: str, good: list[int], bad: list[int]) -> None:
    assert matcher_text(matcher) == text
    assert [status for status in good + bad if matches(status, matcher)] == good


def by_runs(checks: str, config: HealthCheckConfig) -> str:
    """The same rule by looking at whole runs of equal results instead of counting."""
    state = "initial"
    for passed, run in groupby(checks, key=lambda check: check == "+"):
        length = len(list(run))
        if passed and (state == "initial" or length >= config.healthy_threshold_count):
            state = "healthy"
        elif not passed and length >= config.unhealthy_threshold_count:
            state = "unhealthy"
    return state


@given(
    checks=st.text(alphabet="+-tci", max_size=60),
    healthy=st.integers(2, 10),
    unhealthy=st.integers(2, 10),
)
def test_counting_equals_looking_at_runs(checks: str, healthy: int, unhealthy: int) -> None:
    config = HealthCheckConfig(
        healthy_threshold_count=healthy, unhealthy_threshold_count=unhealthy, matcher=((200, 299),)
    )

    assert after(checks, config).state == by_runs(checks, config)
