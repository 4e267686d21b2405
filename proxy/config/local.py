"""`local` of a target group: what the load balancer has no word for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from proxy.config.endpoint import BadEndpointError, Endpoint
from proxy.config.events import EVENT
from proxy.config.model import EventConfig, FunctionConfig
from proxy.config.problem import Place, Report
from proxy.config.records import Field, Fields, Record
from proxy.config.shapes import Choice, Fault, Integer, Text, unquoted
from proxy.config.tree import Scalar


class _QuotedChoice(Choice):
    """Words that YAML would read as numbers without their quotes."""

    def read_scalar(self, value: Scalar, place: Place, report: Report) -> str | None:
        if value.kind not in ("string", "environment"):
            report.error("wrong-type", place, unquoted(value, "a payload format"))
            return None
        return super().read_scalar(value, place, report)


PAYLOAD = Field(
    "payload",
    _QuotedChoice("alb", "1.0", "2.0"),
    "The event that a function gets: the load balancer's, or payload format 1.0 or 2.0 of API Gateway.",
    default="alb",
)
INVOCATION = Field(
    "invocation",
    Choice("sync", "async"),
    "Whether the client waits for the function, or gets a 202 as soon as its event is queued.",
    default="sync",
)


def _endpoint(text: str) -> Fault | None:
    try:
        Endpoint.parse(text)
    except BadEndpointError:
        return Fault("invalid-value", "is not the URL of an endpoint: write http://host:port")
    return None


ENDPOINT = Field(
    "endpoint",
    Text("a URL", checks=(_endpoint,)),
    "Where Lambda, or the service that takes the event, is: http://host:port. Default: AWS_ENDPOINT_URL_LAMBDA (_SQS "
    "and so on), else AWS_ENDPOINT_URL, else AWS.",
)
MAXIMUM_CONCURRENCY = Field(
    "maximum_concurrency",
    Integer(1, 10_000),
    "Calls of a gateway process at the same time; further ones wait for their turn. 1 for AWS's runtime emulator. "
    "Default: any number.",
)
OF_FUNCTIONS = (PAYLOAD, INVOCATION, MAXIMUM_CONCURRENCY)


@dataclass(frozen=True, slots=True)
class LocalConfig:
    """What `local` says, before it is known what the group has for a target."""

    fields: Fields

    def function(self, name: str, target_group: str, *, multi_value: bool) -> FunctionConfig:
        """How the group's function is called."""
        return FunctionConfig(
            name,
            target_group,
            cast(Any, self.fields.get(PAYLOAD, "alb")),
            cast(Any, self.fields.get(INVOCATION, "sync")),
            self.fields.get(ENDPOINT, ""),
            multi_value,
            self.fields.get(MAXIMUM_CONCURRENCY, 0),
        )

    def event(self) -> EventConfig | None:
        """Where the group's requests are put."""
        event = self.fields.find(EVENT)
        return None if event is None else replace(event, endpoint=self.fields.get(ENDPOINT, ""))


LOCAL: Field[LocalConfig] = Field(
    "local",
    Record("what is local", (*OF_FUNCTIONS, ENDPOINT, EVENT), LocalConfig),
    "What the load balancer has no word for: how a function is called, or where an event is put.",
)
