"""The Runtime API of one environment, on a port of its own (Lambda guide).

A shared port would lose invocations: the waiting `next` of a killed process stays open for a moment and takes one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from proxy.functions.errors import response_too_large
from proxy.functions.http import HttpServer, Request, Response
from proxy.functions.model import MAX_RESPONSE_BYTES, Invocation, Outcome

_PREFIX = "/2018-06-01/runtime"
MAX_HEAD_BYTES = 2 * 1024 * 1024
"""awslambdaric sends up to 1 MB of causes of an error as a header."""
_JSON = {"Content-Type": "application/json"}
_ACCEPTED = Response(202, b'{"status":"OK"}\n', _JSON)


class RuntimeApi:
    """Hands invocations to one runtime and takes its answers.

    Args:
        on_ready: Called when the runtime asks for its next invocation.
        on_outcome: Called with a request id and what came of it, at most once for each invocation.
        on_init_error: Called with the error object and its type when the runtime cannot be initialised.
    """

    def __init__(
        self,
        on_ready: Callable[[], None],
        on_outcome: Callable[[str, Outcome], None],
        on_init_error: Callable[[bytes, str], None],
    ) -> None:
        self._on_ready = on_ready
        self._on_outcome = on_outcome
        self._on_init_error = on_init_error
        self._waiting: asyncio.Queue[tuple[Invocation, dict[str, str]]] = asyncio.Queue()
        self._current = ""
        self._server = HttpServer(
            self._handle, max_body=MAX_RESPONSE_BYTES, too_large=self._too_large, max_head=MAX_HEAD_BYTES
        )

    async def start(self) -> int:
        """Listen on a free port of 127.0.0.1 and return it."""
        return await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()

    def hand_over(self, invocation: Invocation, function_arn: str, deadline_ms: int) -> None:
        """Answer the runtime's `next`, the present or the coming one, with this invocation."""
        headers = {
            **_JSON,
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": function_arn,
            "Lambda-Runtime-Trace-Id": invocation.trace_id,
        }
        if invocation.client_context is not None:
            headers["Lambda-Runtime-Client-Context"] = invocation.client_context
        self._waiting.put_nowait((invocation, headers))

    async def _handle(self, request: Request) -> Response:
        if not request.path.startswith(_PREFIX):
            return _refusal(404, "NotFound", f"no such path: {request.path}")
        match (request.method, *request.path.removeprefix(_PREFIX).strip("/").split("/")):
            case ("GET", "invocation", "next"):
                return await self._next()
            case ("POST", "invocation", request_id, "response"):
                return self._finish(request_id, Outcome(request.body))
            case ("POST", "invocation", request_id, "error"):
                error_type = request.headers.get("lambda-runtime-function-error-type") or _error_type(request.body)
                return self._finish(request_id, Outcome(request.body, failed=True, error_type=error_type))
            case ("POST", "init", "error"):
                error_type = request.headers.get("lambda-runtime-function-error-type") or _error_type(request.body)
                self._on_init_error(request.body, error_type)
                return _ACCEPTED
        return _refusal(404, "NotFound", f"no such path: {request.path}")

    async def _next(self) -> Response:
        self._on_ready()
        invocation, headers = await self._waiting.get()
        self._current = invocation.request_id
        return Response(200, invocation.payload, headers)

    def _finish(self, request_id: str, outcome: Outcome) -> Response:
        if not request_id or request_id != self._current:
            return _refusal(400, "InvalidRequestID", "Invalid request ID")
        self._current = ""
        self._on_outcome(request_id, outcome)
        return _ACCEPTED

    def _too_large(self, request: Request) -> Response:
        if self._current and request.path == f"{_PREFIX}/invocation/{self._current}/response":
            self._on_outcome(self._current, response_too_large())
            self._current = ""
        message = f"Exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
        return _refusal(413, "RequestEntityTooLarge", message)


def _refusal(status: int, error_type: str, message: str) -> Response:
    return Response(status, json.dumps({"errorType": error_type, "errorMessage": message}).encode(), _JSON)


def _error_type(body: bytes) -> str:
    """The type in an error object; `Unhandled` when it has none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return "Unhandled"
    error_type = value.get("errorType") if isinstance(value, dict) else None
    return error_type if isinstance(error_type, str) and error_type else "Unhandled"
