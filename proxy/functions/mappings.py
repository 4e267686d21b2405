"""Event source mappings between the words of Lambda's API and `MappingConfig`; pure."""

from __future__ import annotations

import re
import uuid
from typing import Any

from proxy.functions.filters import Filters
from proxy.functions.model import MappingConfig, function_arn
from proxy.functions.pattern import PatternError

_NAMESPACE = uuid.UUID("6f1d1bb0-6a3a-4f58-9a0b-5f2f6f0f3c11")

_COMMON = {"EventSourceArn", "FunctionName", "Enabled", "BatchSize", "MaximumBatchingWindowInSeconds"} | {
    "FunctionResponseTypes",
    "FilterCriteria",
    "Tags",
}
_QUEUE = _COMMON | {"ScalingConfig"}
_STREAM = _COMMON | {
    "StartingPosition",
    "StartingPositionTimestamp",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "BisectBatchOnFunctionError",
    "ParallelizationFactor",
    "TumblingWindowInSeconds",
    "DestinationConfig",
}


MIN_RECORD_AGE = 60
"""Seconds; -1 for records of any age (Lambda API, CreateEventSourceMapping)."""
_LATEST_TIMESTAMP = 253_402_300_799
"""The last second of the year 9999."""
_FAILURES = re.compile(r"arn:aws[a-z-]*:(?:(?:sqs|sns):[a-z0-9-]+:\d{12}:\S+|s3:::\S+)")


class MappingError(ValueError):
    """The API is asked for a mapping that cannot be; the message is for the caller."""


def mapping_id(mapping: MappingConfig) -> str:
    """The UUID of a mapping: always the same for the same function and source, so that checkpoints find it again."""
    return str(uuid.uuid5(_NAMESPACE, f"{mapping.function} {mapping.source_arn}"))


def mapping_fault(mapping: MappingConfig) -> str:
    """What is wrong with a mapping whose values are in range by themselves; empty if nothing is (Lambda guide)."""
    if mapping.service == "sqs":
        if mapping.source_arn.endswith(".fifo"):
            if mapping.batch_size > 10:
                return f"a batch of {mapping.batch_size} is too large for a FIFO queue: at most 10"
            if mapping.window_seconds:
                return "a FIFO queue has no batching window: remove it"
        if mapping.batch_size > 10 and not mapping.window_seconds:
            return f"a batch of {mapping.batch_size} needs a batching window of at least 1 second"
    if mapping.tumbling_seconds and mapping.parallelization_factor > 1:
        return "a tumbling window has one state for a shard: remove the parallelization factor"
    return ""


def age_fault(mapping: MappingConfig) -> str:
    """What is wrong with the age at which records are given up; empty if nothing is (Lambda API)."""
    age = mapping.maximum_record_age_seconds
    if age == -1 or age >= MIN_RECORD_AGE:
        return ""
    return f"records cannot be given up after {age} s: after {MIN_RECORD_AGE} s or more, or -1 for never"


def filters_fault(mapping: MappingConfig) -> str:
    """What is wrong with a mapping's filters; empty if nothing is."""
    try:
        Filters(mapping.filters, mapping.service)
    except PatternError as error:
        return str(error)
    return ""


def from_api(function: str, asked: dict[str, Any]) -> MappingConfig:
    """The mapping that CreateEventSourceMapping asks for; raise MappingError for what this host does not do."""
    arn = asked.get("EventSourceArn")
    parts = arn.split(":") if isinstance(arn, str) else []
    if len(parts) < 6 or parts[2] not in ("sqs", "kinesis"):
        raise MappingError(f"Unrecognized event source: {arn!r}; this host polls SQS queues and Kinesis streams")
    is_queue = parts[2] == "sqs"
    given = {key for key, value in asked.items() if value is not None}
    if unknown := sorted(given - (_QUEUE if is_queue else _STREAM)):
        raise MappingError(f"{', '.join(unknown)} cannot be set for this event source here")
    position = asked.get("StartingPosition", "TRIM_HORIZON" if is_queue else None)
    if position not in ("TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"):
        raise MappingError("StartingPosition is required for a stream: TRIM_HORIZON, LATEST or AT_TIMESTAMP")
    timestamp = asked.get("StartingPositionTimestamp") or 0
    is_moment = isinstance(timestamp, int | float) and 0 <= timestamp <= _LATEST_TIMESTAMP
    if not is_moment or (position == "AT_TIMESTAMP" and not timestamp):
        raise MappingError("StartingPositionTimestamp must be a number of seconds, and is required for AT_TIMESTAMP")
    scaling = _object(asked, "ScalingConfig")
    on_failure = _object(_object(asked, "DestinationConfig"), "OnFailure").get("Destination") or ""
    if on_failure and not (isinstance(on_failure, str) and _FAILURES.fullmatch(on_failure)):
        raise MappingError("OnFailure.Destination must be the ARN of a queue, a topic or a bucket")
    mapping = MappingConfig(
        function=function,
        source_arn=str(arn),
        batch_size=_number(asked, "BatchSize", 1, 10_000, 10 if is_queue else 100),
        window_seconds=_number(asked, "MaximumBatchingWindowInSeconds", 0, 300, 0),
        reports_failures=_reports_failures(asked),
        maximum_concurrency=_number(scaling, "MaximumConcurrency", 2, 1000, 5),
        starting_position=position,
        starting_timestamp=float(timestamp),
        maximum_retry_attempts=_number(asked, "MaximumRetryAttempts", -1, 10_000, -1),
        maximum_record_age_seconds=_number(asked, "MaximumRecordAgeInSeconds", -1, 604_800, -1),
        bisects=_flag(asked, "BisectBatchOnFunctionError", default=False),
        parallelization_factor=_number(asked, "ParallelizationFactor", 1, 10, 1),
        on_failure=on_failure,
        enabled=_flag(asked, "Enabled", default=True),
        filters=_filters(asked),
        tumbling_seconds=_number(asked, "TumblingWindowInSeconds", 0, 900, 0),
    )
    if fault := mapping_fault(mapping) or age_fault(mapping) or filters_fault(mapping):
        raise MappingError(fault)
    return mapping


def to_api(mapping: MappingConfig, region: str, modified: float) -> dict[str, Any]:
    """A mapping as the API shows it (EventSourceMappingConfiguration)."""
    shown: dict[str, Any] = {
        "UUID": mapping_id(mapping),
        "BatchSize": mapping.batch_size,
        "MaximumBatchingWindowInSeconds": mapping.window_seconds,
        "EventSourceArn": mapping.source_arn,
        "FunctionArn": function_arn(mapping.function, region),
        "LastModified": modified,
        "State": "Enabled" if mapping.enabled else "Disabled",
        "StateTransitionReason": "USER_INITIATED",
        "FunctionResponseTypes": ["ReportBatchItemFailures"] if mapping.reports_failures else [],
    }
    if mapping.filters:
        shown["FilterCriteria"] = {"Filters": [{"Pattern": pattern} for pattern in mapping.filters]}
    if mapping.service == "sqs":
        return shown | {"ScalingConfig": {"MaximumConcurrency": mapping.maximum_concurrency}}
    return shown | {
        "StartingPosition": mapping.starting_position,
        "StartingPositionTimestamp": mapping.starting_timestamp or None,
        "MaximumRetryAttempts": mapping.maximum_retry_attempts,
        "MaximumRecordAgeInSeconds": mapping.maximum_record_age_seconds,
        "BisectBatchOnFunctionError": mapping.bisects,
        "ParallelizationFactor": mapping.parallelization_factor,
        "TumblingWindowInSeconds": mapping.tumbling_seconds,
        "DestinationConfig": {"OnFailure": {"Destination": mapping.on_failure} if mapping.on_failure else {}},
    }


def changed(mapping: MappingConfig, asked: dict[str, Any]) -> MappingConfig:
    """The mapping as UpdateEventSourceMapping asks for it: what is not named stays. Raises as `from_api` does."""
    before = {key: value for key, value in to_api(mapping, "", 0.0).items() if key in _QUEUE | _STREAM}
    before["Enabled"] = mapping.enabled
    fixed = [key for key in ("EventSourceArn", "StartingPosition", "StartingPositionTimestamp") if key in asked]
    if fixed:
        raise MappingError(f"{', '.join(fixed)} cannot be changed")
    return from_api(mapping.function, before | {key: value for key, value in asked.items() if key != "FunctionName"})


def _object(asked: dict[str, Any], key: str) -> dict[str, Any]:
    value = asked.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MappingError(f"{key} must be an object")
    return value


def _reports_failures(asked: dict[str, Any]) -> bool:
    """Whether the function reports failed items; a word that is mistaken would have every message deleted."""
    types = asked.get("FunctionResponseTypes")
    if types is None:
        return False
    if not isinstance(types, list) or any(each != "ReportBatchItemFailures" for each in types):
        raise MappingError("FunctionResponseTypes must be a list with nothing but ReportBatchItemFailures")
    return bool(types)


def _flag(asked: dict[str, Any], key: str, *, default: bool) -> bool:
    value = asked.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise MappingError(f"{key} must be true or false")
    return value


def _filters(asked: dict[str, Any]) -> tuple[str, ...]:
    filters = _object(asked, "FilterCriteria").get("Filters") or []
    if not isinstance(filters, list):
        raise MappingError("Filters must be a list")
    patterns = [each.get("Pattern") if isinstance(each, dict) else None for each in filters]
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise MappingError("each filter must be an object with a Pattern, which is a text")
    return tuple(map(str, patterns))


def _number(asked: dict[str, Any], key: str, low: int, high: int, default: int) -> int:
    value = asked.get(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise MappingError(f"{key} must be a whole number from {low} to {high}")
    return value
