"""The load balancer's event and what it takes from a function (alb.md 7). Pure."""

from __future__ import annotations

import base64
import re
from typing import Any, Final

from proxy.errors import IntegrationError
from proxy.integrations.message import Answer, HttpRequest, is_text
from proxy.integrations.results import (
    BadResultError,
    body_of,
    headers_of,
    multi_value_headers_of,
    parsed_object,
    status_of,
)

MAX_BYTES: Final = 1024 * 1024
"""Largest body of a request, and largest result before base64 is undone (alb.md 7)."""
USER_AGENT: Final = b"ELB-HealthChecker/2.0"

_DESCRIPTION: Final = re.compile(r"[0-9]{3}(?: ([\x20-\x7e]*))?")


def event(request: HttpRequest, target_group_arn: str, *, multi_value: bool) -> dict[str, Any]:
    """The event of a request.

    Paths and query values stay as they came; of a name that comes several times the single-value form has the last.

    Args:
        multi_value: `lambda.multi_value_headers.enabled`.

    Raises:
        IntegrationError: `LambdaBadRequest`, 400: something that must be text is not UTF-8.
    """
    try:
        headers = [(name.decode().lower(), value.decode()) for name, value in request.headers]
        query = _pairs(request.query.decode())
        path = request.path.decode()
        body = request.body.decode() if is_text(request) else None
    except UnicodeDecodeError as error:
        raise IntegrationError("LambdaBadRequest", f"the request is not UTF-8: {error}", status=400) from error
    encoded = body is None and bool(request.body)
    made: dict[str, Any] = {
        "requestContext": {"elb": {"targetGroupArn": target_group_arn}},
        "httpMethod": request.method.decode(),
        "path": path,
    }
    if multi_value:
        made["multiValueQueryStringParameters"] = _lists(query)
        made["multiValueHeaders"] = _lists(headers)
    else:
        made["queryStringParameters"] = dict(query)
        made["headers"] = dict(headers)
    made["body"] = base64.b64encode(request.body).decode() if encoded else body or ""
    made["isBase64Encoded"] = encoded
    return made


def health_check_request(path: str, now: float) -> HttpRequest:
    """The request of a health check: nothing but its user agent (alb.md 7)."""
    return HttpRequest(b"GET", path.encode(), [(b"user-agent", USER_AGENT)], received_at=now)


def answer(payload: bytes, *, multi_value: bool) -> Answer:
    """The response that a result stands for.

    Only the headers of the form that the group is set to are looked at.

    Raises:
        IntegrationError: `LambdaResponseTooLarge` or `LambdaInvalidResponse`, both 502.
    """
    if len(payload) > MAX_BYTES:
        raise IntegrationError("LambdaResponseTooLarge", f"the result has {len(payload)} bytes, {MAX_BYTES} may be")
    try:
        result = parsed_object(payload)
        status = status_of(result)
        headers = multi_value_headers_of(result) if multi_value else headers_of(result)
        return Answer(status, headers, body_of(result), _reason(result.get("statusDescription")))
    except BadResultError as error:
        raise IntegrationError("LambdaInvalidResponse", f"the result cannot be a response: {error}") from error


def _reason(description: Any) -> bytes:
    if description is None:
        return b""
    match = _DESCRIPTION.fullmatch(description) if isinstance(description, str) else None
    if match is None:
        raise BadResultError('statusDescription is not like "200 OK"')
    return (match[1] or "").encode()


def _pairs(query: str) -> list[tuple[str, str]]:
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return [(name, value) for name, _, value in pairs]


def _lists(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return lists
