"""What `functions.yaml` says, and what the host passes around."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from proxy.tracing.context import TraceContext

ACCOUNT = "000000000000"
"""The account of a host on one machine; MiniStack's is the same."""
VERSION = "$LATEST"
"""The only version that a function has here."""

MAX_SYNC_BYTES = 6 * 1024 * 1024
"""Longest payload of a synchronous invocation, either way (Lambda guide)."""
MAX_RESPONSE_BYTES = MAX_SYNC_BYTES + 100
"""Longest answer of a function: the 6 MB and room for framing, as Lambda's own message says."""
MAX_ASYNC_BYTES = 1024 * 1024
"""Longest payload of an asynchronous invocation (Lambda guide)."""

StartingPosition = Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]


@dataclass(frozen=True, slots=True)
class AsyncConfig:
    """How asynchronous invocations are retried and where they end (Lambda guide).

    Attributes:
        on_success, on_failure: ARNs of destinations for the invocation record; empty for none.
        dead_letter: ARN of a queue or topic for the bare event; empty for none.
    """

    maximum_retry_attempts: int = 2
    maximum_event_age_seconds: int = 21_600
    on_success: str = ""
    on_failure: str = ""
    dead_letter: str = ""


@dataclass(frozen=True, slots=True)
class MappingConfig:
    """One event source mapping (Lambda guide); what concerns the other kind of source is at its default.

    Attributes:
        filters: Patterns of FilterCriteria, of which a record has to match one; none lets every record pass.
        tumbling_seconds: Length of the windows whose state goes from batch to batch; 0 for none.
    """

    function: str
    source_arn: str
    batch_size: int = 10
    window_seconds: int = 0
    reports_failures: bool = False
    maximum_concurrency: int = 5
    starting_position: StartingPosition = "TRIM_HORIZON"
    starting_timestamp: float = 0.0
    maximum_retry_attempts: int = -1
    maximum_record_age_seconds: int = -1
    bisects: bool = False
    parallelization_factor: int = 1
    on_failure: str = ""
    enabled: bool = True
    filters: tuple[str, ...] = ()
    tumbling_seconds: int = 0

    @property
    def service(self) -> str:
        """`sqs` or `kinesis`."""
        return self.source_arn.split(":")[2]


LogFormat = Literal["Text", "JSON"]
ApplicationLevel = Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]
SystemLevel = Literal["DEBUG", "INFO", "WARN"]


@dataclass(frozen=True, slots=True)
class LoggingConfig:
    """How a function and Lambda itself write; the levels are for JSON (Lambda guide)."""

    log_format: LogFormat = "Text"
    application_log_level: ApplicationLevel = "INFO"
    system_log_level: SystemLevel = "INFO"


@dataclass(frozen=True, slots=True)
class FunctionConfig:
    """One function.

    Attributes:
        code: A folder or a .zip file.
        layers: Folders or .zip files, laid over each other in this order (as under `/opt`).
        timeout: Seconds an invocation may take.
        memory_size: MB; told to the function, not enforced.
        reserved_concurrency: Environments kept for it and not exceeded by it; None shares what is unreserved.
    """

    name: str
    handler: str
    code: Path
    layers: tuple[Path, ...] = ()
    runtime: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: int = 3
    memory_size: int = 128
    reserved_concurrency: int | None = None
    asynchronous: AsyncConfig = AsyncConfig()
    logging: LoggingConfig = LoggingConfig()
    mappings: tuple[MappingConfig, ...] = ()


@dataclass(frozen=True, slots=True)
class HostConfig:
    """Every function of a host, and how many environments may run at the same time."""

    functions: Mapping[str, FunctionConfig]
    concurrency: int = 20


def function_arn(name: str, region: str) -> str:
    """The ARN of a function, without a qualifier."""
    return f"arn:aws:lambda:{region}:{ACCOUNT}:function:{name}"


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a function.

    Attributes:
        payload: JSON, as the caller sent it.
        trace_id: For the header X-Amzn-Trace-Id; empty for the host to begin a trace.
        client_context: JSON, decoded; None for none.
        links: Spans of other traces that it has to do with.
        trigger: What kind of thing caused it, in OpenTelemetry's words.
    """

    request_id: str
    payload: bytes
    trace_id: str
    client_context: str | None = None
    links: tuple[TraceContext, ...] = ()
    trigger: Literal["other", "pubsub"] = "other"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an invocation.

    Attributes:
        payload: The answer, or the error object.
        failed: Whether it is the error object of a function error.
        error_type: Of the error object; empty for an answer.
        log_tail: The last 4 KB of its log.
    """

    payload: bytes
    failed: bool = False
    error_type: str = ""
    log_tail: bytes = b""


class ThrottledError(Exception):
    """No environment is free and no further one may be started; `reason` is Lambda's word for which limit it was."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
