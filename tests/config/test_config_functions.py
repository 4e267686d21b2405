"""Target groups with functions, as they are read (alb.md 5.7, 7)."""

from __future__ import annotations

from config_tables import problems_of, table_with_group

from proxy.config.load import load
from proxy.config.model import FunctionConfig, HealthCheckConfig, TargetConfig, TargetGroupConfig

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:users:live"


def read(lines: str) -> TargetGroupConfig:
    return load(table_with_group(lines), {}).target_groups["monolith"]


def test_a_function_by_its_name() -> None:
    """Health checks are off, and slower than those of addresses where they are switched on."""
    function = FunctionConfig("users", "monolith")
    expected = TargetGroupConfig(
        "monolith",
        (TargetConfig("lambda", "users", 0),),
        HealthCheckConfig(
            enabled=False, interval_seconds=35, timeout_seconds=30, unhealthy_threshold_count=5, function=function
        ),
        function=function,
    )

    assert read("target_type: lambda\ntargets: [users]") == expected


def test_all_that_can_be_said_of_a_function() -> None:
    group = read(
        f"target_type: lambda\ntargets: ['{ARN}']\nattributes: {{lambda.multi_value_headers.enabled: true}}\n"
        "health_check: {enabled: true, path: /up}\n"
        'local: {payload: "1.0", invocation: async, endpoint: http://localhost:9000/x}'
    )

    assert group.function == FunctionConfig(ARN, "monolith", "1.0", "async", "http://localhost:9000/x", True)
    assert (group.health_check.enabled, group.health_check.path) == (True, "/up")
    assert group.targets[0].url == f"lambda:{ARN}"


def test_a_group_without_its_function() -> None:
    (problem,) = problems_of(table_with_group("target_type: lambda"))

    assert (problem.code, problem.place.path) == ("missing-key", "target_groups.monolith")


def test_a_function_that_is_switched_off_by_having_none() -> None:
    """A group may be empty; it answers 503, as one of addresses does."""
    group = read("target_type: lambda\ntargets: []")

    assert group.targets == ()
