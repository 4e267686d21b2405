"""API Gateway's events, payload formats 1.0 and 2.0 of an HTTP API, and what it takes from a function. Pure.

The API is one with the route and the stage `$default`. An HTTP API decodes the path, and cuts it at a decoded `?`; a
REST API, whose payload 1.0 has no `version`, does not.
"""

from __future__ import annotations

import base64
import os
import time
from typing import Any, Final
from urllib.parse import unquote_plus, unquote_to_bytes

from proxy.config.arns import ACCOUNT, hex_id
from proxy.http1.head import Headers
from proxy.integrations.claims import authorizer
from proxy.integrations.message import Answer, HttpRequest, is_text
from proxy.integrations.results import (
    body_of,
    cookies_of,
    has,
    headers_of,
    multi_value_headers_of,
    parsed,
    parsed_object,
    status_of,
)

MAX_REQUEST_BYTES: Final = 10 * 1024 * 1024
"""API Gateway's payload limit."""
MAX_RESULT_BYTES: Final = 6 * 1024 * 1024
"""Lambda's limit of a synchronous result."""
DEFAULT: Final = "$default"

_NOBODY: Final = dict.fromkeys(
    (
        "accessKey",
        "accountId",
        "caller",
        "cognitoAmr",
        "cognitoAuthenticationProvider",
        "cognitoAuthenticationType",
        "cognitoIdentityId",
        "cognitoIdentityPoolId",
        "principalOrgId",
        "user",
        "userArn",
    )
)


def event_1_0(request: HttpRequest, group: str) -> dict[str, Any]:
    """Payload format 1.0: names as received, single and multiple values side by side, null for what is absent."""
    headers = _text(request.headers)
    query = _decoded_query(request)
    body, encoded = _body(request)
    path = _path(request)
    host = _last(headers, "host")
    request_id = _request_id()
    return {
        "version": "1.0",
        "resource": DEFAULT,
        "path": path,
        "httpMethod": request.method.decode(),
        "headers": {values[-1][0]: values[-1][1] for values in _by_name(headers)},
        "multiValueHeaders": {values[-1][0]: [value for _, value in values] for values in _by_name(headers)},
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": _lists(query) or None,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": _api_id(group),
            "authorizer": authorizer(request.token) or {"claims": None, "scopes": None},
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "extendedRequestId": request_id,
            "httpMethod": request.method.decode(),
            "identity": {**_NOBODY, "sourceIp": request.client, "userAgent": _last(headers, "user-agent")},
            "path": path,
            "protocol": request.protocol.decode(),
            "requestId": request_id,
            "requestTime": _time(request),
            "requestTimeEpoch": int(request.received_at * 1000),
            "resourceId": None,
            "resourcePath": DEFAULT,
            "stage": DEFAULT,
        },
        "pathParameters": None,
        "stageVariables": None,
        "body": body,
        "isBase64Encoded": encoded,
    }


def event_2_0(request: HttpRequest, group: str) -> dict[str, Any]:
    """Payload format 2.0: lower-case names, repeated values joined by commas, cookies apart, absent things left out."""
    headers = [(name.lower(), value) for name, value in _text(request.headers)]
    cookies = [
        part for name, value in headers if name == "cookie" for each in value.split(";") if (part := each.strip())
    ]
    query = _decoded_query(request)
    body, encoded = _body(request)
    path = _path(request)
    host = _last(headers, "host")
    made: dict[str, Any] = {
        "version": "2.0",
        "routeKey": DEFAULT,
        "rawPath": path,
        "rawQueryString": request.query.decode("latin-1"),
    }
    if cookies:
        made["cookies"] = cookies
    made["headers"] = _joined([(name, value) for name, value in headers if name != "cookie"])
    if query:
        made["queryStringParameters"] = _joined(query)
    context: dict[str, Any] = {"accountId": ACCOUNT, "apiId": _api_id(group)}
    if request.token:
        context["authorizer"] = {"jwt": authorizer(request.token)}
    made["requestContext"] = context | {
        "domainName": host,
        "domainPrefix": host.partition(".")[0],
        "http": {
            "method": request.method.decode(),
            "path": path,
            "protocol": request.protocol.decode(),
            "sourceIp": request.client,
            "userAgent": _last(headers, "user-agent"),
        },
        "requestId": _request_id(),
        "routeKey": DEFAULT,
        "stage": DEFAULT,
        "time": _time(request),
        "timeEpoch": int(request.received_at * 1000),
    }
    if body is not None:
        made["body"] = body
    made["isBase64Encoded"] = encoded
    return made


def answer_1_0(payload: bytes) -> Answer:
    """The response that a result of a 1.0 function stands for; raise `BadResultError`.

    A name in both header objects has the values of both, the single one last, unless it is one of the many.
    """
    result = parsed_object(payload)
    status = status_of(result, digits=True)
    many = multi_value_headers_of(result, scalars=True)
    known = {(name.lower(), value) for name, value in many}
    headers = many + [
        (name, value) for name, value in headers_of(result, scalars=True) if (name.lower(), value) not in known
    ]
    return Answer(status, _typed(headers, b"application/json"), body_of(result))


def answer_2_0(payload: bytes) -> Answer:
    """The response that a result of a 2.0 function stands for; raise `BadResultError`.

    A result without a `statusCode` is itself the body of a 200, a JSON text or, if it is a string, what that says.
    """
    result = parsed(payload)
    if not isinstance(result, dict) or "statusCode" not in result:
        body = result.encode(errors="replace") if isinstance(result, str) else payload
        return Answer(200, [(b"content-type", b"application/json")], body)
    headers = headers_of(result, scalars=True) + cookies_of(result)
    return Answer(status_of(result, digits=True), _typed(headers, b"text/plain; charset=utf-8"), body_of(result))


def _typed(headers: Headers, kind: bytes) -> Headers:
    return headers if has(headers, b"content-type") else [*headers, (b"content-type", kind)]


def _path(request: HttpRequest) -> str:
    return unquote_to_bytes(request.path).decode(errors="replace").partition("?")[0]


def _decoded_query(request: HttpRequest) -> list[tuple[str, str]]:
    pairs = (pair.partition("=") for pair in request.query.decode("latin-1").split("&") if pair)
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs]


def _body(request: HttpRequest) -> tuple[str | None, bool]:
    if not request.body:
        return None, False
    if is_text(request):
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(request.body).decode(), True


def _text(headers: Headers) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), _decoded(value)) for name, value in headers]


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _by_name(pairs: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """The lines of each name together, however it is spelled."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, value in pairs:
        found.setdefault(name.lower(), []).append((name, value))
    return list(found.values())


def _lists(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return lists


def _joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    return {name: ",".join(values) for name, values in _lists(pairs).items()}


def _last(headers: list[tuple[str, str]], name: str) -> str:
    return next((value for each, value in reversed(headers) if each.lower() == name), "")


def _api_id(group: str) -> str:
    return hex_id(group)[:10]


def _request_id() -> str:
    return base64.b64encode(os.urandom(11)).decode()


def _time(request: HttpRequest) -> str:
    """As in the common log format, always in English."""
    moment = time.gmtime(request.received_at)
    month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][moment.tm_mon - 1]
    return time.strftime(f"%d/{month}/%Y:%H:%M:%S +0000", moment)
