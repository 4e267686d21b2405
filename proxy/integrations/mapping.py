"""Values of a request by API Gateway's parameter mapping: `$request.body.user.id`, `$context.requestId`. Pure."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote_plus

from proxy.config.events import EXPRESSION
from proxy.integrations.claims import authorizer
from proxy.integrations.message import HttpRequest
from proxy.strict_json import json_value


class BadValueError(ValueError):
    """What the expression asks for is not a value that can be sent; the message says why."""


def value_of(expression: str, request: HttpRequest, request_id: str) -> bytes | None:
    """What an expression of `request_parameters` stands for, None where the request has no such thing.

    Of several headers or keys of a name it is all, joined by commas. A part of the body that is no text is its JSON.

    Raises:
        BadValueError: A part of the body is asked for and the body is no JSON.
    """
    match = EXPRESSION.fullmatch(expression)
    if match is None:
        return expression.encode()
    if match["header"]:
        name = match["header_name"].lower().encode()
        return _joined([value for each, value in request.headers if each.lower() == name])
    if match["query"]:
        pairs = (pair.partition("=") for pair in request.query.decode("latin-1").split("&"))
        name = match["query_name"]
        return _joined([unquote_plus(value).encode() for key, _, value in pairs if unquote_plus(key) == name])
    if match["path"]:
        return request.path
    if match["context"]:
        return _of_context(match["context"], request, request_id)
    if match["body_path"] is None:
        return request.body or None
    return _in_body(match["body_path"].split("."), request.body)


def _joined(values: list[bytes]) -> bytes | None:
    return b",".join(values) if values else None


def _in_body(path: list[str], body: bytes) -> bytes | None:
    try:
        value: Any = json_value(body)
    except ValueError as error:
        raise BadValueError("the body is not JSON") from error
    for step in path:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(value):
            value = value[int(step[:9])]
        else:
            return None
    if value is None:
        return None
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode(errors="replace")


def _of_context(name: str, request: HttpRequest, request_id: str) -> bytes | None:
    prefix = "authorizer.claims."
    if name.startswith(prefix):
        found = authorizer(request.token)
        claim = None if found is None else found["claims"].get(name.removeprefix(prefix))
        return None if claim is None else str(claim).encode(errors="replace")
    return _CONTEXT[name](request, request_id)


_CONTEXT: Final[dict[str, Callable[[HttpRequest, str], bytes]]] = {
    "domainName": lambda request, _: request.value(b"host"),
    "httpMethod": lambda request, _: request.method,
    "identity.sourceIp": lambda request, _: request.client.encode(),
    "path": lambda request, _: request.path,
    "protocol": lambda request, _: request.protocol,
    "requestId": lambda _, request_id: request_id.encode(),
    "requestTime": lambda request, _: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(request.received_at)).encode(),
    "requestTimeEpoch": lambda request, _: b"%d" % int(request.received_at * 1000),
}
