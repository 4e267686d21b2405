"""functions.yaml: what it says, and what is wrong with it, with the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.problem import ConfigError
from proxy.functions.config import OWN_RUNTIME, load_functions
from proxy.functions.model import AsyncConfig, FunctionConfig, MappingConfig

QUEUE = "arn:aws:sqs:us-east-1:000000000000:q"
STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/s"

WHOLE = f"""\
version: 1
concurrency: 30
functions:
  resize:
    handler: app.handler
    code: resize
    layers: [pillow.zip]
    runtime: {OWN_RUNTIME}
    environment: {{BUCKET: "${{BUCKET}}", EMPTY: ""}}
    timeout: 10
    memory_size: 512
    reserved_concurrency: 4
    asynchronous:
      maximum_retry_attempts: 1
      maximum_event_age_in_seconds: 600
      on_success: arn:aws:events:us-east-1:000000000000:event-bus/default
      on_failure: arn:aws:lambda:us-east-1:000000000000:function:other
      dead_letter: {QUEUE}
    event_sources:
    - event_source_arn: {QUEUE}
      batch_size: 100
      maximum_batching_window_in_seconds: 1
      maximum_concurrency: 2
      function_response_types: [ReportBatchItemFailures]
    - event_source_arn: {STREAM}
      starting_position: LATEST
      maximum_retry_attempts: 3
      maximum_record_age_in_seconds: 60
      bisect_batch_on_function_error: true
      parallelization_factor: 2
      on_failure: {QUEUE}
      enabled: false
  small: {{handler: a/b.c.d, code: small.zip}}
"""


def test_everything_it_can_say() -> None:
    config, problems = load_functions(WHOLE.encode(), {"BUCKET": "photos"}, "/shop/functions.yaml")
    assert problems == []
    assert config.concurrency == 30
    assert config.functions["small"] == FunctionConfig("small", "a/b.c.d", Path("/shop/small.zip"), runtime=OWN_RUNTIME)
    resize = config.functions["resize"]
    assert resize.mappings == (
        MappingConfig("resize", QUEUE, 100, 1, True, 2),
        MappingConfig(
            "resize", STREAM, 100, starting_position="LATEST", maximum_retry_attempts=3, maximum_record_age_seconds=60,
            bisects=True, parallelization_factor=2, on_failure=QUEUE, enabled=False,
        ),
    )  # fmt: skip
    assert resize.asynchronous == AsyncConfig(
        1, 600, "arn:aws:events:us-east-1:000000000000:event-bus/default",
        "arn:aws:lambda:us-east-1:000000000000:function:other", QUEUE,
    )  # fmt: skip
    assert (resize.code, resize.layers) == (Path("/shop/resize"), (Path("/shop/pillow.zip"),))
    assert resize.environment == {"BUCKET": "photos", "EMPTY": ""}
    assert (resize.timeout, resize.memory_size, resize.reserved_concurrency) == (10, 512, 4)


def one(function: str, head: str = "") -> str:
    return f"version: 1\n{head}functions:\n  f: {{handler: a.b, code: c, {function}}}\n"


def mapped(mapping: str) -> str:
    return one(f"event_sources: [{{{mapping}}}]")


SQS = f"event_source_arn: '{QUEUE}'"
KINESIS = f"event_source_arn: '{STREAM}', starting_position: LATEST"


@pytest.mark.parametrize(
    ("text", "place", "code"),
    [
        ("version: 2\nfunctions: {f: {handler: a.b, code: c}}", (1, 10), "unknown-version"),
        ("version: 1", (1, 1), "missing-key"),
        ("version: 1\nfunctions: {}", (2, 1), "empty-mapping"),
        ("- 1", (1, 1), "wrong-type"),
        ("version: 1\nfunctions:\n  f: {code: c}", (3, 3), "missing-key"),
        ("version: 1\nfunctions:\n  f f: {handler: a.b, code: c}", (3, 3), "invalid-character"),
        ("version: 1\nfunctions:\n  f: {handler: ab, code: c}", (3, 16), "invalid-value"),
        (one("timeout: 901"), (3, 39), "out-of-range"),
        (one("memory: 256"), (3, 30), "unknown-key"),
        (one("environment: {AWS_LAMBDA_FUNCTION_NAME: x}"), (3, 30), "invalid-value"),
        (one("environment: {A: " + "x" * 4096 + "}"), (3, 30), "too-long"),
        (one("layers: [a, b, c, d, e, f]"), (3, 30), "out-of-range"),
        (one("runtime: nodejs20.x"), (3, 39), "unknown-value"),
        (one("asynchronous: {on_failure: queue}"), (3, 57), "invalid-value"),
        (one(f"asynchronous: {{dead_letter: '{STREAM}'}}"), (3, 58), "invalid-value"),
        (one("reserved_concurrency: 21"), (2, 1), "conflicting-keys"),
        (
            "version: 1\nconcurrency: 2\nfunctions:\n  f: {handler: a.b, code: c, reserved_concurrency: 2}\n"
            "  g: {handler: a.b, code: c}",
            (2, 14),
            "conflicting-keys",
        ),
        (mapped("event_source_arn: 'arn:aws:sns:us-east-1:000000000000:t'"), (3, 65), "invalid-value"),
        (mapped(f"{SQS}, starting_position: LATEST"), None, "conflicting-keys"),
        (mapped(f"{SQS}, batch_size: 11"), None, "conflicting-keys"),
        (mapped(f"{KINESIS}, maximum_record_age_in_seconds: 59"), None, "out-of-range"),
        (
            mapped("event_source_arn: 'arn:aws:sqs:us-east-1:000000000000:q.fifo', batch_size: 11"),
            None,
            "conflicting-keys",
        ),
        (mapped(f"event_source_arn: '{STREAM}'"), None, "missing-key"),
        (mapped(f"{KINESIS}, maximum_concurrency: 2"), None, "conflicting-keys"),
        (mapped(f"{KINESIS}, parallelization_factor: 11"), None, "out-of-range"),
        (mapped(f"{SQS}, filter_criteria: ['{{']"), None, "invalid-value"),
        (one("logging: {system_log_level: WARN}"), None, "conflicting-keys"),
    ],
    ids=[
        "another version",
        "no functions",
        "an empty mapping of functions",
        "a list",
        "no handler",
        "a blank in a name",
        "a handler without a module",
        "a timeout over 15 minutes",
        "an unknown key",
        "a variable that the host sets",
        "variables over 4 KB",
        "six layers",
        "another language",
        "a destination that is no ARN",
        "a dead letter to a stream",
        "more reserved than there is",
        "nothing left for a function without",
        "a topic as event source",
        "a position in a queue",
        "a large batch without a window",
        "records given up before they are a minute old",
        "a large batch of a FIFO queue",
        "a stream without a position",
        "concurrency of a stream",
        "a factor of eleven",
        "a filter that is no JSON",
        "a level of a text",
    ],
)
def test_problems(text: str, place: tuple[int, int] | None, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_functions(text.encode(), {})
    (problem,) = caught.value.problems
    assert problem.code == code
    if place is not None:
        assert (problem.place.line, problem.place.column) == place


def test_another_python_than_the_hosts_is_a_warning() -> None:
    other = "python3.10" if OWN_RUNTIME != "python3.10" else "python3.11"
    _, (problem,) = load_functions(one(f"runtime: {other}").encode(), {})
    assert (problem.severity, problem.code) == ("warning", "without-effect")


def test_what_is_not_utf_8() -> None:
    with pytest.raises(ConfigError, match="UTF-8"):
        load_functions(b"version: 1\n\xff", {})
