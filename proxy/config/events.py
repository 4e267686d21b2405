"""`local.event`: requests are put on a bus, a queue, a topic or a stream, in API Gateway's words for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from proxy.config.model import EventConfig, EventSubtype
from proxy.config.records import Field, Fields, MapOf, Record
from proxy.config.shapes import Choice, Fault, Text, quoted
from proxy.config.suggest import advice


@dataclass(frozen=True, slots=True)
class Parameters:
    """What an integration subtype takes."""

    required: tuple[str, ...]
    optional: tuple[str, ...]


SUBTYPES: Final[Mapping[EventSubtype, Parameters]] = {
    "EventBridge-PutEvents": Parameters(
        ("Source", "DetailType", "Detail"), ("EventBusName", "Resources", "Time", "TraceHeader")
    ),
    "SQS-SendMessage": Parameters(
        ("QueueUrl", "MessageBody"), ("DelaySeconds", "MessageDeduplicationId", "MessageGroupId")
    ),
    "SNS-Publish": Parameters(("TopicArn", "Message"), ("MessageDeduplicationId", "MessageGroupId", "Subject")),
    "Kinesis-PutRecord": Parameters(("StreamName", "Data", "PartitionKey"), ("ExplicitHashKey",)),
}
"""API Gateway has these but for SNS-Publish, which is made after them."""

EXPRESSION: Final = re.compile(
    r"\$request\.(?P<header>header)\.(?P<header_name>[!#$%&'*+\-^_`|~0-9A-Za-z]+)"
    r"|\$request\.(?P<query>querystring)\.(?P<query_name>[^\s]+)"
    r"|\$request\.(?P<body>body)(?:\.(?P<body_path>[^\s.]+(?:\.[^\s.]+)*))?"
    r"|\$request\.(?P<path>path)"
    r"|\$context\.(?P<context>domainName|httpMethod|identity\.sourceIp|path|protocol|requestId|requestTime|requestTimeEpoch"
    r"|authorizer\.claims\.[^\s]+)"
)
"""What stands for something of the request; any other text stands for itself."""


def _value(text: str) -> Fault | None:
    if text.startswith("$") and EXPRESSION.fullmatch(text) is None:
        return Fault(
            "invalid-value",
            "is not known: $request.header.NAME, $request.querystring.NAME, $request.body, $request.body.PATH, "
            "$request.path, $context.requestId and the like",
        )
    return None


SUBTYPE = Field("integration_subtype", Choice(*SUBTYPES), "Which call of which service takes the event.", required=True)
PARAMETERS = Field(
    "request_parameters",
    MapOf(
        Text("a parameter", longest=64),
        Text("a value", longest=4096, checks=(_value,)),
        "a mapping of the call's parameters to values",
        fallback=lambda name: "",
    ),
    "The call's parameters: text, or what of the request stands there, such as `$request.body.user.id`.",
    required=True,
)


def _event(fields: Fields) -> EventConfig | None:
    subtype = fields.find(SUBTYPE)
    parameters = fields.find(PARAMETERS)
    if subtype is None or parameters is None:
        return None
    known = SUBTYPES[subtype]  # type: ignore[index]
    place = fields.at(PARAMETERS)
    for name in parameters:
        if name not in (*known.required, *known.optional):
            hint = advice(name, (*known.required, *known.optional))
            message = f"{subtype} has no parameter {quoted(name)}" + (f"; {hint}" if hint else "")
            fields.report.error("unknown-key", place.of(name), message)
    for name, value in parameters.items():
        if EXPRESSION.fullmatch(value) is None and EXPRESSION.search(value) is not None:
            message = f"{quoted(value)} is sent as it stands here: what is of the request has to be the whole value"
            fields.report.warning("without-effect", place.of(name), message)
    for name in known.required:
        if name not in parameters:
            fields.report.error("missing-key", place, f"{name} is missing: {subtype} needs it")
    return EventConfig(subtype, tuple(parameters.items()))  # type: ignore[arg-type]


EVENT: Field[EventConfig] = Field(
    "event",
    Record("an event", (SUBTYPE, PARAMETERS), _event),
    "The requests of this group are put on a bus, a queue, a topic or a stream, and answered with 202.",
)
