"""Lambda's API, as far as a host on one machine has it: Invoke, functions, event source mappings (Lambda guide)."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import parse_qs, unquote

from proxy.functions.descriptions import configuration, described, invoke_config
from proxy.functions.host import FunctionNotFoundError, Host, new_request_id
from proxy.functions.http import Request, Response
from proxy.functions.mappings import MappingError, changed, from_api, mapping_id, to_api
from proxy.functions.model import (
    MAX_ASYNC_BYTES,
    MAX_SYNC_BYTES,
    VERSION,
    FunctionConfig,
    Invocation,
    Outcome,
    ThrottledError,
    function_arn,
)
from proxy.functions.store import StoreError
from proxy.strict_json import json_value

MAX_CLIENT_CONTEXT = 3583
"""Characters of X-Amz-Client-Context."""

_NAME = re.compile(
    r"(?:arn:aws[a-z-]*:lambda:[a-z0-9-]+:)?(?:\d{12}:)?(?:function:)?([A-Za-z0-9_-]{1,64})(?::([A-Za-z0-9_$-]{1,128}))?"
)
_TRACE = re.compile(r"[!-~ ]{1,512}")
_JSON = {"Content-Type": "application/json"}
_TYPES = ("RequestResponse", "Event", "DryRun")


class _Refusal(Exception):
    """The API answers with an error: its code, and the word it uses for whose fault it is."""

    def __init__(self, status: int, code: str, message: str, **more: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        key = "Message" if code == "ResourceNotFoundException" else "message"
        self.body = {**more, "Type": "User" if status < 500 else "Service", key: message}


class LambdaApi:
    """Answers requests as Lambda does."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def handle(self, request: Request) -> Response:
        """Answer one request; everything that can be wrong with it becomes an error of the API."""
        request_id = new_request_id()
        try:
            response = await self._route(request, request_id)
        except _Refusal as refusal:
            response = _refused(refusal)
        except FunctionNotFoundError as error:
            response = _refused(self._not_found(str(error)))
        except StoreError as error:
            response = _refused(_Refusal(500, "ServiceException", str(error)))
        return Response(response.status, response.body, {"x-amzn-RequestId": request_id, **response.headers})

    def too_large(self, request: Request) -> Response:
        """The answer to a body that is over every limit."""
        return _refused(_too_large(MAX_SYNC_BYTES))

    async def _route(self, request: Request, request_id: str) -> Response:
        if request.method != "GET" and "origin" in request.headers:
            # A page that somebody looks at could otherwise call what only listens on loopback.
            raise _Refusal(403, "AccessDeniedException", "functions are not called by web pages")
        match (request.method, *(unquote(part) for part in request.path.strip("/").split("/"))):
            case ("POST", "2015-03-31", "functions", name, "invocations"):
                return await self._invoke(name, request, request_id)
            case ("GET", "2015-03-31", "functions"):
                functions = [configuration(one, self._host.region) for one in self._host.config.functions.values()]
                return _json(200, {"Functions": functions})
            case ("GET", "2015-03-31", "functions", name):
                return _json(200, described(self._function(name, request), self._host.region))
            case ("GET", "2015-03-31", "functions", name, "configuration"):
                return _json(200, configuration(self._function(name, request), self._host.region))
            case ("GET", "2019-09-25", "functions", name, "event-invoke-config"):
                return _json(200, invoke_config(self._function(name, request), self._host.region))
            case (method, "2015-03-31", "event-source-mappings"):
                if method == "POST":
                    return await self._create_mapping(request)
                if method == "GET":
                    return self._list_mappings(request)
            case (method, "2015-03-31", "event-source-mappings", uuid):
                return await self._mapping(method, uuid, request)
            case ("POST", "ministack", "sync" | "async" as kind):
                return await self._invoke_for_ministack(kind, request, request_id)
            case ("GET", "health"):
                return Response(200, b"ok\n", {"Content-Type": "text/plain"})
            case ("GET", "metrics"):
                return await self._metrics()
        raise _Refusal(404, "UnknownOperationException", f"{request.method} {request.path} is not part of this host")

    async def _invoke(self, name: str, request: Request, request_id: str) -> Response:
        function = self._function(name, request)
        headers = request.headers
        kind = headers.get("x-amz-invocation-type", "RequestResponse")
        if kind not in _TYPES:
            raise _Refusal(400, "InvalidParameterValueException", f"InvocationType must be one of {', '.join(_TYPES)}")
        limit = MAX_ASYNC_BYTES if kind == "Event" else MAX_SYNC_BYTES
        if len(request.body) > limit:
            raise _too_large(limit)
        trace_id = headers.get("x-amzn-trace-id", "")
        invocation = Invocation(
            request_id,
            _payload(request.body),
            trace_id if _TRACE.fullmatch(trace_id) else self._host.new_trace_id(),
            _client_context(headers.get("x-amz-client-context", "")),
        )
        if kind == "DryRun":
            return Response(204)
        trace = {"X-Amzn-Trace-Id": invocation.trace_id}
        if kind == "Event":
            await self._host.accept(function.name, invocation)
            return Response(202, b"", trace)
        outcome = await self._invoked(function.name, invocation)
        answer = {**_JSON, **trace, "X-Amz-Executed-Version": VERSION}
        if outcome.failed:
            answer["X-Amz-Function-Error"] = "Unhandled"
        if headers.get("x-amz-log-type") == "Tail":
            answer["X-Amz-Log-Result"] = base64.b64encode(outcome.log_tail).decode()
        return Response(200, outcome.payload, answer)

    async def _invoke_for_ministack(self, kind: str, request: Request, request_id: str) -> Response:
        """Invoke for MiniStack, whose triggers call a URL and name the function in a header.

        What it triggers asynchronously (S3, SNS, EventBridge) is to go to `async`: retries and destinations are then
        those of this host. Any status that is no success becomes a function error there.
        """
        function = self._function(request.headers.get("x-amzn-lambda-function-name", ""), request)
        if len(request.body) > (MAX_ASYNC_BYTES if kind == "async" else MAX_SYNC_BYTES):
            raise _too_large(MAX_ASYNC_BYTES if kind == "async" else MAX_SYNC_BYTES)
        invocation = Invocation(request_id, _payload(request.body), "")
        if kind == "async":
            await self._host.accept(function.name, invocation)
            return Response(200, b"null", _JSON)
        outcome = await self._invoked(function.name, invocation)
        return Response(500 if outcome.failed else 200, outcome.payload, _JSON)

    async def _invoked(self, function: str, invocation: Invocation) -> Outcome:
        try:
            return await self._host.invoke(function, invocation)
        except ThrottledError as throttled:
            raise _Refusal(429, "TooManyRequestsException", "Rate Exceeded.", Reason=throttled.reason) from None
        except OSError as error:
            raise _Refusal(500, "ServiceException", f"no environment can be started: {error}") from None

    def _function(self, name: str, request: Request) -> FunctionConfig:
        """The function that a name, a partial or a full ARN and a qualifier mean."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise _Refusal(400, "InvalidParameterValueException", f"{name[:256]!r} is not a function's name or ARN")
        qualifier = match[2] or parse_qs(request.query).get("Qualifier", [VERSION])[0]
        function = self._host.config.functions.get(match[1])
        if function is None or qualifier != VERSION:
            raise self._not_found(match[1] + (f":{qualifier}" if qualifier != VERSION else ""))
        return function

    def _not_found(self, name: str) -> _Refusal:
        arn = function_arn(name, self._host.region)
        return _Refusal(404, "ResourceNotFoundException", f"Function not found: {arn}")

    async def _create_mapping(self, request: Request) -> Response:
        asked = _object(request.body)
        function = self._function(str(asked.get("FunctionName", "")), request)
        try:
            mapping = from_api(function.name, asked)
        except MappingError as error:
            raise _Refusal(400, "InvalidParameterValueException", str(error)) from None
        uuid = mapping_id(mapping)
        if uuid in self._host.mappings():
            message = f"An event source mapping with this function and event source already exists: UUID {uuid}"
            raise _Refusal(409, "ResourceConflictException", message)
        await self._host.put_mapping(mapping)
        return self._shown(202, uuid, "Creating")

    def _list_mappings(self, request: Request) -> Response:
        query = parse_qs(request.query)
        source = query.get("EventSourceArn", [""])[0]
        named = query.get("FunctionName", [""])[0]
        function = self._function(named, Request("GET", "", "", {}, b"")).name if named else ""
        shown = [
            to_api(mapping, self._host.region, modified)
            for mapping, modified in self._host.mappings().values()
            if source in ("", mapping.source_arn) and function in ("", mapping.function)
        ]
        return _json(200, {"EventSourceMappings": shown})

    async def _mapping(self, method: str, uuid: str, request: Request) -> Response:
        if uuid not in self._host.mappings():
            raise _Refusal(404, "ResourceNotFoundException", "The resource you requested does not exist.")
        if method == "GET":
            return self._shown(200, uuid, "")
        if method == "PUT":
            asked = _object(request.body)
            mapping = self._host.mappings()[uuid][0]
            if (
                asked.get("FunctionName")
                and self._function(str(asked["FunctionName"]), request).name != mapping.function
            ):
                raise _Refusal(
                    400, "InvalidParameterValueException", "a mapping keeps its function here: make a new one"
                )
            try:
                mapping = changed(mapping, asked)
            except MappingError as error:
                raise _Refusal(400, "InvalidParameterValueException", str(error)) from None
            await self._host.put_mapping(mapping)
            return self._shown(202, uuid, "Updating")
        if method == "DELETE":
            response = self._shown(202, uuid, "Deleting")
            await self._host.remove_mapping(uuid)
            return response
        raise _Refusal(
            404, "UnknownOperationException", f"{method} of an event source mapping is not part of this host"
        )

    def _shown(self, status: int, uuid: str, state: str) -> Response:
        mapping, modified = self._host.mappings()[uuid]
        shown = to_api(mapping, self._host.region, modified)
        return _json(status, shown | ({"State": state} if state else {}))

    async def _metrics(self) -> Response:
        host = self._host
        body = host.measures.exposition(
            host.environments(), host.cold_starts(), await host.queue_depths(), host.spans_dropped
        )
        return Response(200, body, {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _Refusal(400, "InvalidParameterValueException", "the body must be a JSON object")
    return value


def _payload(body: bytes) -> bytes:
    """The event as sent, once it is known to be JSON; an empty body is an empty object."""
    if not body:
        return b"{}"
    try:
        json_value(body.decode("utf-8"))
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise _Refusal(400, "InvalidRequestContentException", message) from None
    return body


def _client_context(header: str) -> str | None:
    if not header:
        return None
    try:
        text = base64.b64decode(header, validate=True).decode("utf-8")
        json.loads(text)
    except (ValueError, RecursionError):
        text = ""
    if not text or len(header) > MAX_CLIENT_CONTEXT or "\n" in text or "\r" in text:
        message = f"Client context must be a JSON object in base64, at most {MAX_CLIENT_CONTEXT} characters"
        raise _Refusal(400, "InvalidRequestContentException", message)
    return text


def _too_large(limit: int) -> _Refusal:
    message = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
    return _Refusal(413, "RequestTooLargeException", message)


def _refused(refusal: _Refusal) -> Response:
    return Response(refusal.status, json.dumps(refusal.body).encode(), {**_JSON, "x-amzn-ErrorType": refusal.code})


def _json(status: int, value: dict[str, Any]) -> Response:
    return Response(status, json.dumps(value).encode(), _JSON)
