"""Structured logs: one JSON object a line, each with the trace that it belongs to, and one line a request."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

from extracted_services.recommendations.tracing import current_trace, span, trace_of

_log = logging.getLogger(__name__)

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]

_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}


class JsonFormatter(logging.Formatter):
    """A record as a line: time, level, message, the trace in hand, and the fields, if its arguments have names."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, Any] = {"time": at, "level": record.levelname.lower(), "message": record.getMessage()}
        if trace := current_trace():
            line["trace_id"] = trace.trace_id
        if isinstance(record.args, dict):
            line |= record.args
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_config() -> dict[str, Any]:
    """For `uvicorn.run`: the server's log and this service's, to standard error."""
    loggers = {name: {"handlers": ["lines"], "level": "INFO", "propagate": False} for name in ("uvicorn", __package__)}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": f"{__name__}.JsonFormatter"}},
        "handlers": {"lines": {"class": "logging.StreamHandler", "formatter": "json"}},
        "loggers": loggers,
    }


class RequestLog:
    """Logs each request when it has ended, and makes a span of it; in place of uvicorn's access log.

    The query is left out, and the path of the line is the one that was asked for: a span has the route instead.
    """

    def __init__(self, app: _App) -> None:
        self._app = app

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        status = 500

        async def send_noting(message: _Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        trace = trace_of({name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]})
        with span(method, "server", trace, http__request__method=method, url__scheme=scope["scheme"]) as made:
            try:
                await self._app(scope, receive, send_noting)
            finally:
                if route := getattr(scope.get("route"), "path", ""):
                    made.name = f"{method} {route}"
                    made.attributes["http.route"] = route
                made.attributes["http.response.status_code"] = status
                if status >= 500:
                    made.error = made.error or str(status)
                fields = {
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "seconds": round(time.monotonic() - began, 6),
                }
                _log.info("%(method)s %(path)s %(status)d", fields)
