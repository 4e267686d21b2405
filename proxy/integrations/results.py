"""What a function returns, taken apart strictly: one road for all payload formats."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

from proxy.http1.head import Headers
from proxy.strict_json import json_value

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_NOT_SENT: Final = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Hop-by-hop headers, which are ignored, and the length, which is computed (alb.md 7)."""


class BadResultError(ValueError):
    """The function's result is not what its caller wants; the message says why."""


def parsed(payload: bytes) -> Any:
    """The JSON value; raise `BadResultError`."""
    try:
        return json_value(payload)
    except ValueError as error:
        raise BadResultError(f"no JSON: {error}") from error


def parsed_object(payload: bytes) -> dict[str, Any]:
    """The JSON object; raise `BadResultError`."""
    value = parsed(payload)
    if not isinstance(value, dict):
        raise BadResultError("not an object")
    return value


def status_of(result: dict[str, Any], *, digits: bool = False) -> int:
    """The `statusCode`; `digits` allows it as a string."""
    status = result.get("statusCode")
    if digits and isinstance(status, str) and re.fullmatch(r"[0-9]{3}", status):
        status = int(status)
    if type(status) is not int or not 200 <= status <= 599:
        raise BadResultError("statusCode is not a number from 200 to 599")
    return status


def body_of(result: dict[str, Any]) -> bytes:
    """The `body`, decoded if `isBase64Encoded` says so."""
    body = result.get("body")
    encoded = result.get("isBase64Encoded")
    if encoded is not None and not isinstance(encoded, bool):
        raise BadResultError("isBase64Encoded is not a boolean")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise BadResultError("body is not a string")
    try:
        return base64.b64decode(body, validate=True) if encoded else body.encode()
    except (binascii.Error, ValueError) as error:
        raise BadResultError("body is not what isBase64Encoded says") from error


def headers_of(result: dict[str, Any], *, scalars: bool = False) -> Headers:
    """The `headers`, one value each; `scalars` allows numbers and booleans as values."""
    return [line for name, value in _mapping(result, "headers") for line in _line(name, value, scalars)]


def multi_value_headers_of(result: dict[str, Any], *, scalars: bool = False) -> Headers:
    """The `multiValueHeaders`, a list of values each."""
    lines: Headers = []
    for name, values in _mapping(result, "multiValueHeaders"):
        if not isinstance(values, list):
            raise BadResultError(f"multiValueHeaders.{name} is not a list")
        lines += [line for value in values for line in _line(name, value, scalars)]
    return lines


def cookies_of(result: dict[str, Any]) -> Headers:
    """The `cookies` as Set-Cookie headers."""
    cookies = result.get("cookies")
    if cookies is None:
        return []
    if not isinstance(cookies, list):
        raise BadResultError("cookies is not a list")
    return [line for cookie in cookies for line in _line("Set-Cookie", cookie, False)]


def has(headers: Headers, name: bytes) -> bool:
    """Whether this (lower-case) name is among them."""
    return any(each.lower() == name for each, _ in headers)


def _mapping(result: dict[str, Any], key: str) -> list[tuple[str, Any]]:
    found = result.get(key)
    if found is None:
        return []
    if not isinstance(found, dict):
        raise BadResultError(f"{key} is not an object")
    return list(found.items())


def _line(name: str, value: Any, scalars: bool) -> Headers:
    if isinstance(value, bool) and scalars:
        value = "true" if value else "false"
    elif isinstance(value, int | float) and not isinstance(value, bool) and scalars:
        value = str(value)
    if not isinstance(value, str):
        raise BadResultError(f"the header {name!r} is not a string")
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise BadResultError(f"the header {name!r} has a character that no header has")
    if name.lower() in _NOT_SENT:
        return []
    try:
        return [(name.encode(), value.strip(" \t").encode())]
    except UnicodeEncodeError as error:
        raise BadResultError(f"the header {name!r} is no Unicode text") from error
