"""Target groups with functions, as they are read (alb.md 5.7, 7)."""

from __future__ import annotations

import pytest
from config_tables import problems_of, table_with_group

from proxy.config.load import load, load_with_warnings
from proxy.config.model import EventConfig, FunctionConfig, HealthCheckConfig, TargetConfig, TargetGroupConfig

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


EVENT = "event: {integration_subtype: %s, request_parameters: {%s}}"
QUEUE = EVENT % ("SQS-SendMessage", "QueueUrl: http://q/1/mails, MessageBody: $request.body.mail")


def test_a_group_whose_requests_are_put_in_a_queue() -> None:
    group = read(f"local: {{{QUEUE}, endpoint: http://localhost:4566}}")

    assert group == TargetGroupConfig(
        "monolith",
        (TargetConfig("event", "SQS-SendMessage", 0),),
        HealthCheckConfig(enabled=False),
        event=EventConfig(
            "SQS-SendMessage",
            (("QueueUrl", "http://q/1/mails"), ("MessageBody", "$request.body.mail")),
            "http://localhost:4566",
        ),
    )


@pytest.mark.parametrize(
    ("lines", "code", "path"),
    [
        pytest.param(f"targets: ['http://a:1']\nlocal: {{{QUEUE}}}", "conflicting-keys", "targets", id="targets too"),
        pytest.param(
            f"target_type: lambda\nlocal: {{{QUEUE}}}", "conflicting-keys", "target_type", id="a function too"
        ),
        pytest.param(f"local: {{{QUEUE}, payload: alb}}", "not-for-target-type", "local.payload", id="a payload"),
        pytest.param(
            f"local: {{{EVENT % ('SQS-SendMessage', 'QueueUrl: q')}}}",
            "missing-key",
            "local.event.request_parameters",
            id="a parameter is missing",
        ),
        pytest.param(
            f"local: {{{EVENT % ('SQS-SendMessage', 'QueueUrl: q, MessageBody: m, Delay: x')}}}",
            "unknown-key",
            "local.event.request_parameters.Delay",
            id="a parameter that the call does not have",
        ),
        pytest.param(
            f"local: {{{EVENT % ('SQS-SendMessage', 'QueueUrl: q, MessageBody: $request.bdy')}}}",
            "invalid-value",
            "local.event.request_parameters.MessageBody",
            id="an expression that is none",
        ),
        pytest.param(
            f"local: {{{EVENT % ('SQS-Send', 'QueueUrl: q')}}}",
            "unknown-value",
            "local.event.integration_subtype",
            id="a subtype that is none",
        ),
        pytest.param("local: {event: {}}", "missing-key", "local.event", id="nothing said"),
    ],
)
def test_a_bad_event(lines: str, code: str, path: str) -> None:
    problems = [problem for problem in problems_of(table_with_group(lines)) if problem.severity == "error"]

    assert (problems[0].code, problems[0].place.path) == (code, f"target_groups.monolith.{path}")
    assert {problem.code for problem in problems} == {code}


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        pytest.param(
            "target_type: lambda\ntargets: [f]\nattributes: {lambda.multi_value_headers.enabled: true}\n"
            'local: {payload: "2.0"}',
            "attributes",
            id="multi-value headers with an event of API Gateway",
        ),
        pytest.param(
            f"local: {{{EVENT % ('SQS-SendMessage', 'QueueUrl: q, MessageBody: user $request.body.id')}}}",
            "local.event.request_parameters.MessageBody",
            id="a part of the request within a text",
        ),
    ],
)
def test_what_is_not_what_it_looks_like(lines: str, path: str) -> None:
    _, (warning,) = load_with_warnings(table_with_group(lines), {})

    assert (warning.severity, warning.code) == ("warning", "without-effect")
    assert warning.place.path == f"target_groups.monolith.{path}"
