"""`functions.yaml` into a `HostConfig`, or every reason why not; read with the same means as `routes.yaml`."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

from proxy.config.load import decode
from proxy.config.problem import ConfigError, Place, Problem, Report, in_order
from proxy.config.records import Field, Fields, ListOf, MapOf, Record
from proxy.config.shapes import Boolean, Choice, Fault, Integer, Shape, Text, wrong_type
from proxy.config.tree import Map, compose
from proxy.functions.mappings import age_fault, filters_fault, mapping_fault
from proxy.functions.model import (
    ApplicationLevel,
    AsyncConfig,
    FunctionConfig,
    HostConfig,
    LogFormat,
    LoggingConfig,
    MappingConfig,
    SystemLevel,
)
from proxy.functions.pattern import MAX_CHARACTERS

VERSION = 1
RUNTIMES = tuple(f"python3.{minor}" for minor in range(10, 15))
OWN_RUNTIME = f"python3.{sys.version_info.minor}"
"""What functions run on: the interpreter of the host."""
MAX_TIMEOUT = 900
MAX_ENVIRONMENT_BYTES = 4096
MAX_LAYERS = 5

_ARN = re.compile(
    r"arn:aws[a-z-]*:(?:(sqs|sns|lambda|events|kinesis):[a-z0-9-]+:\d{12}:\S+|(s3):::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])"
)
_RESERVED_NAMES = ("_HANDLER", "_X_AMZN_TRACE_ID", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR")


def arn_of(*services: str) -> Text:
    """The ARN of something that belongs to one of these services."""

    def check(text: str) -> Fault | None:
        match = _ARN.fullmatch(text)
        if match is not None and (match[1] or match[2]) in services:
            return None
        return Fault("invalid-value", f"is not the ARN of {noun}: arn:aws:{services[0]}:REGION:ACCOUNT:NAME")

    noun = f"something of {' or '.join(services)}"
    return Text(f"an ARN of {' or '.join(services)}", longest=2048, checks=(check,))


def _handler(text: str) -> Fault | None:
    if re.fullmatch(r"[\w./-]+\.\w+", text):
        return None
    return Fault("invalid-value", "is not MODULE.FUNCTION, such as app.handler")


def _known_version(version: int, place: Place, report: Report) -> int | None:
    if version == VERSION:
        return version
    report.error("unknown-version", place, f"version {version} is not known; this host reads version {VERSION}")
    return None


_DESTINATION = arn_of("sqs", "sns", "lambda", "events")
_FAILURES = arn_of("sqs", "sns", "lambda", "events", "s3")
_RETRIES = Field("maximum_retry_attempts", Integer(0, 2), "Attempts after the first.")
_AGE = Field("maximum_event_age_in_seconds", Integer(60, 21_600, "seconds"), "How old an event may become.")
_ON_SUCCESS = Field("on_success", _DESTINATION, "Where the invocation record of a success goes.")
_ON_FAILURE = Field("on_failure", _FAILURES, "Where the invocation record of an event that is given up goes.")
_DEAD_LETTER = Field("dead_letter", arn_of("sqs", "sns"), "Queue or topic for the bare event that is given up.")


def _asynchronous(fields: Fields) -> AsyncConfig:
    defaults = AsyncConfig()
    return AsyncConfig(
        fields.get(_RETRIES, defaults.maximum_retry_attempts),
        fields.get(_AGE, defaults.maximum_event_age_seconds),
        fields.get(_ON_SUCCESS, ""),
        fields.get(_ON_FAILURE, ""),
        fields.get(_DEAD_LETTER, ""),
    )


_LOG_FORMAT = Field("log_format", Choice(*get_args(LogFormat)), "How function and platform write.")
_APPLICATION_LEVEL = Field("application_log_level", Choice(*get_args(ApplicationLevel)), "With JSON: of the function.")
_SYSTEM_LEVEL = Field("system_log_level", Choice(*get_args(SystemLevel)), "With JSON: of platform events.")


def _logging(fields: Fields) -> LoggingConfig:
    defaults = LoggingConfig()
    log_format = fields.get(_LOG_FORMAT, defaults.log_format)
    for field in (_APPLICATION_LEVEL, _SYSTEM_LEVEL):
        if fields.has(field) and log_format != "JSON":
            fields.error("conflicting-keys", field, f"{field.name} is for log_format: JSON")
    return LoggingConfig(
        cast(LogFormat, log_format),
        cast(ApplicationLevel, fields.get(_APPLICATION_LEVEL, defaults.application_log_level)),
        cast(SystemLevel, fields.get(_SYSTEM_LEVEL, defaults.system_log_level)),
    )


_SOURCE = Field("event_source_arn", arn_of("sqs", "kinesis"), "The queue or stream that is polled.", required=True)
_BATCH = Field("batch_size", Integer(1, 10_000), "Most records of an invocation; 10 for a queue, 100 for a stream.")
_WINDOW = Field("maximum_batching_window_in_seconds", Integer(0, 300, "seconds"), "How long a batch is gathered.")
_RESPONSE_TYPES = Field(
    "function_response_types", ListOf(Choice("ReportBatchItemFailures"), "a list"), "Whether it reports failed items."
)
_CONCURRENT_BATCHES = Field("maximum_concurrency", Integer(2, 1000), "Queues: batches at the same time.")
_POSITION = Field("starting_position", Choice("TRIM_HORIZON", "LATEST"), "Streams: where the first read begins.")
_RECORD_RETRIES = Field("maximum_retry_attempts", Integer(-1, 10_000), "Streams: retries of a batch; -1 without end.")
_RECORD_AGE = Field(
    "maximum_record_age_in_seconds", Integer(-1, 604_800, "seconds"), "Streams: older records are given up; -1 never."
)
_BISECT = Field("bisect_batch_on_function_error", Boolean(), "Streams: whether a failing batch is split in two.")
_FACTOR = Field("parallelization_factor", Integer(1, 10), "Streams: batches of a shard at the same time.")
_TUMBLING = Field(
    "tumbling_window_in_seconds", Integer(0, 900, "seconds"), "Streams: how long a state goes from batch to batch."
)
_BATCH_ON_FAILURE = Field(
    "on_failure", arn_of("sqs", "sns", "s3"), "Streams: where records that are given up are told of."
)
_FILTERS = Field(
    "filter_criteria",
    ListOf(Text("an event pattern, as JSON", longest=MAX_CHARACTERS), "a list of event patterns"),
    "Patterns of which a record has to match one.",
)
_ENABLED = Field("enabled", Boolean(), "Whether it is polled.")
_QUEUE_ONLY: tuple[Field[Any], ...] = (_CONCURRENT_BATCHES,)
_STREAM_ONLY: tuple[Field[Any], ...] = (
    _POSITION,
    _RECORD_RETRIES,
    _RECORD_AGE,
    _BISECT,
    _FACTOR,
    _TUMBLING,
    _BATCH_ON_FAILURE,
)


def _mapping(fields: Fields) -> MappingConfig | None:
    arn = fields.find(_SOURCE)
    if arn is None:
        return None
    is_queue = arn.split(":")[2] == "sqs"
    for field in _STREAM_ONLY if is_queue else _QUEUE_ONLY:
        if fields.has(field):
            kind = "stream" if is_queue else "queue"
            fields.error("conflicting-keys", field, f"{field.name} is for a {kind}: remove it")
    if not is_queue and not fields.has(_POSITION):
        fields.error("missing-key", _SOURCE, f"starting_position is missing: {_POSITION.about}")
    mapping = MappingConfig(
        function="",
        source_arn=arn,
        batch_size=fields.get(_BATCH, 10 if is_queue else 100),
        window_seconds=fields.get(_WINDOW, 0),
        reports_failures=bool(fields.get(_RESPONSE_TYPES, ())),
        maximum_concurrency=fields.get(_CONCURRENT_BATCHES, 5),
        starting_position="LATEST" if fields.find(_POSITION) == "LATEST" else "TRIM_HORIZON",
        maximum_retry_attempts=fields.get(_RECORD_RETRIES, -1),
        maximum_record_age_seconds=fields.get(_RECORD_AGE, -1),
        bisects=fields.get(_BISECT, False),
        parallelization_factor=fields.get(_FACTOR, 1),
        on_failure=fields.get(_BATCH_ON_FAILURE, ""),
        enabled=fields.get(_ENABLED, True),
        tumbling_seconds=fields.get(_TUMBLING, 0),
        filters=tuple(fields.get(_FILTERS, ())),
    )
    if fault := filters_fault(mapping):
        fields.error("invalid-value", _FILTERS, fault)
    elif fault := age_fault(mapping):
        fields.error("out-of-range", _RECORD_AGE, fault)
    elif fault := mapping_fault(mapping):
        place = next(field for field in (_TUMBLING, _BATCH, _WINDOW) if fields.has(field))
        fields.error("conflicting-keys", place, fault)
    return mapping


_PATH = Text("a folder or a .zip file", longest=4096)
_HANDLER = Field("handler", Text("a handler", longest=128, checks=(_handler,)), "MODULE.FUNCTION.", required=True)
_CODE = Field("code", _PATH, "Folder or .zip file with the handler, relative to this file.", required=True)
_LAYERS = Field("layers", ListOf(_PATH, "a list of folders or .zip files"), "Laid over each other, as under /opt.")
_RUNTIME = Field("runtime", Choice(*RUNTIMES), "What it runs on in the cloud; here always the host's own Python.")
_NAME_OF_VARIABLE = Text(
    "a variable's name", longest=256, allowed="[A-Za-z0-9_]", allowed_words="letters, digits and _"
)
_ENVIRONMENT = Field(
    "environment",
    MapOf(_NAME_OF_VARIABLE, Text("a value", shortest=0, longest=4096), "a mapping of variables", shortest=0),
    "Variables of its processes.",
)
_TIMEOUT = Field("timeout", Integer(1, MAX_TIMEOUT, "seconds"), "How long an invocation may take.", default=3)
_MEMORY = Field("memory_size", Integer(128, 10_240, "MB"), "Told to the function; not enforced.", default=128)
_RESERVED = Field("reserved_concurrency", Integer(0, 1000), "Environments kept for it, and its most.")
_ASYNC = Field(
    "asynchronous",
    Record("an asynchronous configuration", (_RETRIES, _AGE, _ON_SUCCESS, _ON_FAILURE, _DEAD_LETTER), _asynchronous),
    "Retries and destinations of asynchronous invocations.",
)
_LOGGING = Field(
    "logging",
    Record("a logging configuration", (_LOG_FORMAT, _APPLICATION_LEVEL, _SYSTEM_LEVEL), _logging),
    "Format and levels of its log.",
)
_MAPPING: Shape[MappingConfig] = Record(
    "an event source",
    (_SOURCE, _BATCH, _WINDOW, _RESPONSE_TYPES, _CONCURRENT_BATCHES, *_STREAM_ONLY, _FILTERS, _ENABLED),
    _mapping,
)
_EVENT_SOURCES = Field("event_sources", ListOf(_MAPPING, "a list of event sources"), "Queues and streams to poll.")


def _function(fields: Fields) -> FunctionConfig | None:
    handler, code = fields.find(_HANDLER), fields.find(_CODE)
    environment = fields.get(_ENVIRONMENT, {})
    layers = fields.get(_LAYERS, ())
    if len(layers) > MAX_LAYERS:
        fields.error("out-of-range", _LAYERS, f"here are {len(layers)} layers; a function has at most {MAX_LAYERS}")
    size = sum(len(name) + len(value) for name, value in environment.items())
    if size > MAX_ENVIRONMENT_BYTES:
        message = f"names and values have {size} characters; at most {MAX_ENVIRONMENT_BYTES} are allowed"
        fields.error("too-long", _ENVIRONMENT, message)
    for name in environment:
        if name in _RESERVED_NAMES or name.startswith("AWS_LAMBDA_"):
            fields.error("invalid-value", _ENVIRONMENT, f"{name} is set by the host: remove it")
    runtime = fields.get(_RUNTIME, "")
    if runtime and runtime != OWN_RUNTIME:
        message = f"{runtime} is what it runs on in the cloud; here it runs on {OWN_RUNTIME}, the host's own Python"
        fields.report.warning("without-effect", fields.at(_RUNTIME), message)
    if handler is None or code is None:
        return None
    return FunctionConfig(
        name="",
        handler=handler,
        code=Path(code),
        layers=tuple(map(Path, layers)),
        runtime=runtime or OWN_RUNTIME,
        environment=environment,
        timeout=fields.get(_TIMEOUT, 3),
        memory_size=fields.get(_MEMORY, 128),
        reserved_concurrency=fields.find(_RESERVED),
        asynchronous=fields.get(_ASYNC, AsyncConfig()),
        logging=fields.get(_LOGGING, LoggingConfig()),
        mappings=fields.get(_EVENT_SOURCES, ()),
    )


_FUNCTION: Shape[FunctionConfig] = Record(
    "a function",
    (
        _HANDLER,
        _CODE,
        _LAYERS,
        _RUNTIME,
        _ENVIRONMENT,
        _TIMEOUT,
        _MEMORY,
        _RESERVED,
        _ASYNC,
        _LOGGING,
        _EVENT_SOURCES,
    ),
    _function,
)
_NAME = Text("a function's name", longest=64, allowed="[A-Za-z0-9_-]", allowed_words="letters, digits, - and _")
_VERSION = Field("version", Integer(1, 999).then(_known_version), f"Always {VERSION}.", required=True)
_CONCURRENCY = Field("concurrency", Integer(1, 1000), "Environments of all functions at the same time.", default=20)
_FUNCTIONS = Field("functions", MapOf(_NAME, _FUNCTION, "a mapping of functions"), "By name.", required=True)


def _host(fields: Fields) -> HostConfig:
    functions = {
        name: replace(
            function, name=name, mappings=tuple(replace(mapping, function=name) for mapping in function.mappings)
        )
        for name, function in fields.get(_FUNCTIONS, {}).items()
    }
    config = HostConfig(functions, fields.get(_CONCURRENCY, 20))
    reserved = sum(function.reserved_concurrency or 0 for function in functions.values())
    shares = any(function.reserved_concurrency is None for function in functions.values())
    if reserved > config.concurrency - shares:
        left = "; a function without needs at least one" if shares else ""
        message = f"{reserved} environments are reserved of {config.concurrency}{left}: raise concurrency"
        fields.error("conflicting-keys", _CONCURRENCY if fields.has(_CONCURRENCY) else _FUNCTIONS, message)
    return config


HOST: Record[HostConfig] = Record("a file of functions", (_VERSION, _CONCURRENCY, _FUNCTIONS), _host)


def load_functions(
    content: bytes, env: Mapping[str, str], source: str = "functions.yaml"
) -> tuple[HostConfig, list[Problem]]:
    """Return what the file says, paths relative to it, and what is doubtful about it.

    Args:
        content: The whole file, UTF-8.
        env: Where `${NAME}` is looked up.
        source: The file's path: what is named in it lies beside it.

    Raises:
        ConfigError: The file cannot be used. It holds every error, and the warnings, as the file has them.
    """
    report = Report()
    text = decode(content, report)
    root = compose(text, env, report) if text is not None else None
    config: HostConfig | None = None
    if isinstance(root, Map):
        config = HOST.read(root, "", report)
    elif root is not None:
        wrong_type(root, "", report, "a file of functions that begins with version: 1")
    if config is not None:
        config = _beside(config, Path(source).parent)
    problems = in_order(report.problems)
    if config is None or any(problem.severity == "error" for problem in problems):
        raise ConfigError(problems, source)
    return config, problems


def _beside(config: HostConfig, folder: Path) -> HostConfig:
    functions = {
        name: replace(function, code=folder / function.code, layers=tuple(folder / layer for layer in function.layers))
        for name, function in config.functions.items()
    }
    return replace(config, functions=functions)
