"""A function in place of a target: the Invoke API between event and result (alb.md 7; Lambda API reference, Invoke)."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import quote

from proxy.config.arns import target_group_arn
from proxy.config.model import FunctionConfig
from proxy.errors import IntegrationError
from proxy.integrations import alb, api_gateway
from proxy.integrations.message import JSON, Answer, HttpRequest, Reply
from proxy.integrations.results import BadResultError
from proxy.integrations.service import Service

MAX_ASYNC_EVENT_BYTES: Final = 1024 * 1024
"""Largest event of an asynchronous invocation."""
_ARN_REGION: Final = re.compile(r"arn:[a-z-]+:lambda:([a-z0-9-]+):")

REFUSALS: Final[Mapping[str, tuple[str, int]]] = {
    "AccessDenied": ("LambdaAccessDenied", 502),
    "EC2AccessDenied": ("LambdaEC2AccessDeniedException", 502),
    "EC2Throttled": ("LambdaEC2ThrottledException", 502),
    "EC2Unexpected": ("LambdaEC2UnexpectedException", 502),
    "ENILimitReached": ("LambdaENILimitReachedException", 502),
    "ExpiredToken": ("LambdaAccessDenied", 502),
    "InvalidRequestContent": ("LambdaBadRequest", 400),
    "InvalidRuntime": ("LambdaInvalidRuntimeException", 502),
    "InvalidSecurityGroupID": ("LambdaInvalidSecurityGroupIDException", 502),
    "InvalidSignature": ("LambdaAccessDenied", 502),
    "InvalidSubnetID": ("LambdaInvalidSubnetIDException", 502),
    "InvalidZipFile": ("LambdaInvalidZipFileException", 502),
    "KMSAccessDenied": ("LambdaKMSAccessDeniedException", 502),
    "KMSDisabled": ("LambdaKMSDisabledException", 502),
    "KMSInvalidState": ("LambdaKMSInvalidStateException", 502),
    "KMSNotFound": ("LambdaKMSNotFoundException", 502),
    "MissingAuthenticationToken": ("LambdaAccessDenied", 502),
    "RequestTooLarge": ("LambdaRequestTooLarge", 413),
    "ResourceNotFound": ("LambdaResourceNotFound", 502),
    "Service": ("LambdaServiceException", 502),
    "SubnetIPAddressLimitReached": ("LambdaSubnetIPAddressLimitReachedException", 502),
    "TooManyRequests": ("LambdaThrottling", 502),
    "UnrecognizedClient": ("LambdaAccessDenied", 502),
}
"""The Invoke API's error, without `Exception` at its end, to the access log's word (alb.md 9.3) and the load balancer's
status (alb.md 7)."""
_BY_STATUS: Final = {403: "AccessDenied", 404: "ResourceNotFound", 413: "RequestTooLarge", 429: "TooManyRequests"}


def invoke_path(name: str) -> str:
    """The path of a function's invocations; the name may be an ARN and may end in an alias or a version."""
    return f"/2015-03-31/functions/{quote(name, safe='')}/invocations"


def invoke_headers(*, is_async: bool, trace_id: bytes = b"") -> dict[str, str]:
    """The headers of an invocation."""
    headers = {"Content-Type": "application/json", "X-Amz-Invocation-Type": "Event" if is_async else "RequestResponse"}
    if trace_id:
        headers["X-Amzn-Trace-Id"] = trace_id.decode("latin-1")
    return headers


def service_of(config: FunctionConfig, environ: Mapping[str, str]) -> Service:
    """Where this function is invoked: at its endpoint, in the region of its ARN; raise `BadEndpointError`."""
    match = _ARN_REGION.match(config.name)
    return Service.of("lambda", environ, url=config.endpoint, region=match[1] if match else "")


def result_of(reply: Reply) -> bytes:
    """The function's result; raise `IntegrationError` where there is none."""
    if reply.status == 200:
        if b"x-amz-function-error" in reply.fields:
            raise IntegrationError("LambdaUnhandled", f"the function failed: {_shown(reply.payload)}")
        return reply.payload
    kind = reply.fields.get(b"x-amzn-errortype", b"").decode("latin-1").partition(":")[0].rpartition("#")[2]
    word = kind.removesuffix("Exception") or _BY_STATUS.get(reply.status, "")
    if word not in REFUSALS:
        word = _BY_STATUS.get(reply.status, word)
    reason, status = REFUSALS.get(word, ("LambdaUnhandledException", 502))
    raise IntegrationError(reason, f"Invoke answered {reply.status} {kind}: {_shown(reply.payload)}", status=status)


def _shown(payload: bytes) -> str:
    return repr(payload[:200].decode(errors="replace"))


class FunctionIntegration(ABC):
    """A function that gets requests as events of one format."""

    prefix = "Lambda"
    is_repeatable = False
    max_body_bytes: int = alb.MAX_BYTES
    max_reply_bytes: int = alb.MAX_BYTES + 1
    timeout_seconds: float = 0.0

    def __init__(self, config: FunctionConfig, environ: Mapping[str, str]) -> None:
        self.config = config
        self.service = service_of(config, environ)
        self._path = invoke_path(config.name)
        self.is_async = config.invocation == "async"
        if self.is_async:
            self.max_body_bytes = min(self.max_body_bytes, MAX_ASYNC_EVENT_BYTES)

    @abstractmethod
    def event(self, request: HttpRequest) -> dict[str, Any]:
        """The event of a request."""

    @abstractmethod
    def result(self, payload: bytes) -> Answer:
        """The response that the function's result stands for."""

    def told(self, error: IntegrationError) -> IntegrationError:
        """The error as the client is to see it: the load balancer's page."""
        return error

    def ask(self, request: HttpRequest) -> bytes:
        event = self.encoded(request)
        if self.is_async and len(event) > MAX_ASYNC_EVENT_BYTES:
            message = f"the event has {len(event)} bytes, an asynchronous one may have {MAX_ASYNC_EVENT_BYTES}"
            raise IntegrationError("LambdaRequestTooLarge", message, status=413)
        headers = invoke_headers(is_async=self.is_async, trace_id=request.value(b"x-amzn-trace-id"))
        return self.service.post(self._path, headers, event)

    def encoded(self, request: HttpRequest) -> bytes:
        """The event as JSON."""
        return json.dumps(self.event(request), ensure_ascii=False, separators=(",", ":")).encode()

    def answer(self, reply: Reply) -> Answer:
        if not self.is_async:
            return self.result(result_of(reply))
        if reply.status != 202:
            result_of(reply)
            raise IntegrationError("LambdaUnhandledException", f"Invoke answered {reply.status} and not 202")
        request_id = reply.fields.get(b"x-amzn-requestid", b"").decode("latin-1")
        return Answer(202, [(b"Content-Type", JSON)], json.dumps({"requestId": request_id}).encode())


class AlbFunction(FunctionIntegration):
    """The load balancer's own event (alb.md 7)."""

    def event(self, request: HttpRequest) -> dict[str, Any]:
        return alb.event(request, target_group_arn(self.config.target_group), multi_value=self.config.multi_value)

    def result(self, payload: bytes) -> Answer:
        return alb.answer(payload, multi_value=self.config.multi_value)


class _ApiGatewayFunction(FunctionIntegration):
    max_body_bytes = api_gateway.MAX_REQUEST_BYTES
    max_reply_bytes = api_gateway.MAX_RESULT_BYTES + 1
    late: ClassVar[tuple[int, str]]

    def told(self, error: IntegrationError) -> IntegrationError:
        """In API Gateway's words: a refusal of the Lambda API is a 500, a fault of the function a 502."""
        status, message = 502, "Internal server error"
        if error.reason == "LambdaRequestTooLarge" and error.status == 413:
            status, message = 413, "Request Too Long"
        elif error.reason == "LambdaWebsocketNotSupported":
            status, message = 400, "Bad Request"
        elif error.reason == "LambdaConnectionTimeout":
            status, message = self.late
        elif error.reason not in ("LambdaUnhandled", "LambdaInvalidResponse", "LambdaResponseTooLarge"):
            status = 500
        told = IntegrationError(error.reason, str(error), status=status)
        told.answer = (((b"Content-Type", JSON),), json.dumps({"message": message}).encode())
        return told

    def result(self, payload: bytes) -> Answer:
        if len(payload) > api_gateway.MAX_RESULT_BYTES:
            raise IntegrationError(
                "LambdaResponseTooLarge", f"the result has over {api_gateway.MAX_RESULT_BYTES} bytes"
            )
        try:
            return self.format(payload)
        except BadResultError as error:
            raise IntegrationError("LambdaInvalidResponse", f"the result cannot be a response: {error}") from error

    @abstractmethod
    def format(self, payload: bytes) -> Answer:
        """The answer; raise `BadResultError`."""


class Payload10Function(_ApiGatewayFunction):
    """API Gateway's payload format 1.0; 29 s is the limit of a REST API."""

    timeout_seconds = 29.0
    late = (504, "Endpoint request timed out")

    def event(self, request: HttpRequest) -> dict[str, Any]:
        return api_gateway.event_1_0(request, self.config.target_group)

    def format(self, payload: bytes) -> Answer:
        return api_gateway.answer_1_0(payload)


class Payload20Function(_ApiGatewayFunction):
    """API Gateway's payload format 2.0; 30 s is the limit of an HTTP API."""

    timeout_seconds = 30.0
    late = (503, "Service Unavailable")

    def event(self, request: HttpRequest) -> dict[str, Any]:
        return api_gateway.event_2_0(request, self.config.target_group)

    def format(self, payload: bytes) -> Answer:
        return api_gateway.answer_2_0(payload)


FUNCTIONS: Final[Mapping[str, type[FunctionIntegration]]] = {
    "alb": AlbFunction,
    "1.0": Payload10Function,
    "2.0": Payload20Function,
}
"""By `local.payload`."""
