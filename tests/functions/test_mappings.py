"""Event source mappings in the words of Lambda's API (Lambda guide)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.functions.mappings import MappingError, changed, from_api, mapping_id, to_api
from proxy.functions.model import MappingConfig

QUEUE = "arn:aws:sqs:us-east-1:000000000000:q"
STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
FILTER = '{"data": {"a": [1]}}'


FROM_LATEST = {"EventSourceArn": STREAM, "StartingPosition": "LATEST"}
FROM_TIMESTAMP = {"EventSourceArn": STREAM, "StartingPosition": "AT_TIMESTAMP"}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "Unrecognized event source"),
        ({"EventSourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/t"}, "Unrecognized event source"),
        ({"EventSourceArn": QUEUE, "BatchSize": 0}, "BatchSize must be a whole number from 1 to 10000"),
        ({"EventSourceArn": QUEUE, "BatchSize": True}, "BatchSize must be a whole number"),
        ({"EventSourceArn": QUEUE, "BatchSize": 11}, "needs a batching window"),
        ({"EventSourceArn": f"{QUEUE}.fifo", "MaximumBatchingWindowInSeconds": 1}, "no batching window"),
        ({"EventSourceArn": QUEUE, "StartingPosition": "LATEST"}, "StartingPosition cannot be set"),
        ({"EventSourceArn": QUEUE, "FilterCriteria": {"Filters": [{}]}}, "an object with a Pattern"),
        ({"EventSourceArn": QUEUE, "FilterCriteria": {"Filters": [{"Pattern": "{"}]}}, "Invalid filter pattern"),
        ({"EventSourceArn": STREAM}, "StartingPosition is required"),
        ({"EventSourceArn": STREAM, "StartingPosition": "AT_TIMESTAMP"}, "StartingPositionTimestamp"),
        (
            {"EventSourceArn": STREAM, "StartingPosition": "LATEST", "TumblingWindowInSeconds": 901},
            "TumblingWindowInSeconds must be a whole number from 0 to 900",
        ),
        (
            {
                "EventSourceArn": STREAM,
                "StartingPosition": "LATEST",
                "TumblingWindowInSeconds": 10,
                "ParallelizationFactor": 2,
            },
            "remove the parallelization factor",
        ),
        ({"EventSourceArn": STREAM, "StartingPosition": "LATEST", "DestinationConfig": 1}, "must be an object"),
        ({"EventSourceArn": QUEUE, "ScalingConfig": []}, "ScalingConfig must be an object"),
        ({"EventSourceArn": QUEUE, "FunctionResponseTypes": 5}, "FunctionResponseTypes must be a list"),
        ({"EventSourceArn": QUEUE, "FunctionResponseTypes": ["ReportBatchItemFailure"]}, "nothing but Report"),
        ({"EventSourceArn": QUEUE, "FunctionResponseTypes": [["a"]]}, "nothing but Report"),
        ({"EventSourceArn": QUEUE, "Enabled": "yes"}, "Enabled must be true or false"),
        (FROM_LATEST | {"BisectBatchOnFunctionError": 1}, "BisectBatchOnFunctionError must be true or false"),
        (FROM_LATEST | {"MaximumRecordAgeInSeconds": 59}, "after 60 s or more"),
        (FROM_LATEST | {"DestinationConfig": {"OnFailure": {"Destination": "failed"}}}, "must be the ARN of a queue"),
        (FROM_LATEST | {"DestinationConfig": {"OnFailure": {"Destination": 5}}}, "must be the ARN of a queue"),
        (FROM_TIMESTAMP | {"StartingPositionTimestamp": 1e300}, "must be a number of seconds"),
        (FROM_TIMESTAMP | {"StartingPositionTimestamp": -1}, "must be a number of seconds"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_refusals(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        from_api("f", asked)


def test_defaults() -> None:
    assert from_api("f", {"EventSourceArn": QUEUE}) == MappingConfig("f", QUEUE)
    stream = from_api("f", {"EventSourceArn": STREAM, "StartingPosition": "TRIM_HORIZON"})
    assert stream == MappingConfig("f", STREAM, batch_size=100)


@settings(deadline=None)
@given(
    st.builds(
        MappingConfig,
        function=st.just("f"),
        source_arn=st.just(STREAM),
        batch_size=st.integers(1, 10_000),
        window_seconds=st.integers(0, 300),
        reports_failures=st.booleans(),
        starting_position=st.sampled_from(["TRIM_HORIZON", "LATEST"]),
        maximum_retry_attempts=st.integers(-1, 10_000),
        maximum_record_age_seconds=st.just(-1) | st.integers(60, 604_800),
        bisects=st.booleans(),
        parallelization_factor=st.integers(1, 10),
        on_failure=st.sampled_from(["", QUEUE]),
        tumbling_seconds=st.just(0),
        filters=st.sampled_from([(), ('{"data": {"a": [1]}}', '{"data": {"b": [2]}}')]),
    )
)
def test_what_is_shown_can_be_asked_for(mapping: MappingConfig) -> None:
    shown = to_api(mapping, "us-east-1", 0.0)
    read_only = {"UUID", "FunctionArn", "LastModified", "State", "StateTransitionReason"}
    assert from_api("f", {key: value for key, value in shown.items() if key not in read_only}) == mapping


def test_a_tumbling_window_is_shown() -> None:
    asked = {"EventSourceArn": STREAM, "StartingPosition": "LATEST", "TumblingWindowInSeconds": 900}
    assert to_api(from_api("f", asked), "us-east-1", 0.0)["TumblingWindowInSeconds"] == 900


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {}),
        ({"Enabled": False}, {"enabled": False}),
        ({"BatchSize": 7, "MaximumRetryAttempts": 3}, {"batch_size": 7, "maximum_retry_attempts": 3}),
        ({"FunctionResponseTypes": []}, {"reports_failures": False}),
        ({"FilterCriteria": {"Filters": [{"Pattern": FILTER}]}}, {"filters": (FILTER,)}),
        ({"FilterCriteria": {}}, {"filters": ()}),
    ],
    ids=["nothing", "paused", "two values", "a list emptied", "another filter", "filters removed"],
)
def test_what_is_not_named_in_a_change_stays(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    mapping = MappingConfig("f", STREAM, 50, 2, True, bisects=True, on_failure=QUEUE, filters=('{"data": {"a": [0]}}',))
    assert changed(mapping, asked) == replace(mapping, **expected)


def test_where_a_mapping_reads_cannot_be_changed() -> None:
    with pytest.raises(MappingError, match="EventSourceArn cannot be changed"):
        changed(MappingConfig("f", QUEUE), {"EventSourceArn": STREAM})


def test_ids_tell_mappings_apart() -> None:
    ids = {mapping_id(MappingConfig(name, arn)) for name in ("f", "g") for arn in (QUEUE, STREAM)}
    assert len(ids) == 4
    assert mapping_id(MappingConfig("f", QUEUE)) == mapping_id(MappingConfig("f", QUEUE, batch_size=1))
