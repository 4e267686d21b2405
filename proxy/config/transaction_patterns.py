"""Names that somebody gives to requests: patterns one by one, or the operations of an OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from proxy.config.model import TransactionPattern

ANY_METHOD: Final = "*"
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
"""RFC 9110 9 and RFC 5789."""
MAX_PATTERNS: Final = 5000
MAX_OPENAPI_BYTES: Final = 16 * 1024 * 1024
_SEGMENT: Final = re.compile(r"\*|(?:[^{}/?#*\s]|\{[^{}/\s]*\})+")


class PatternError(ValueError):
    """A pattern or a document that names nothing; the message says why and what to do."""


def parse_pattern(text: str, *, openapi: bool = False) -> TransactionPattern:
    """Read `GET /orders/{id}`; without a method it holds for any, and a last `*` stands for all that follows.

    Raises:
        PatternError: It is not a pattern.
    """
    words = text.split()
    if len(words) == 1:
        words = [ANY_METHOD, *words]
    if len(words) != 2 or not words[1].startswith("/"):
        raise PatternError(f"{text!r} is not a method and a path, such as GET /orders/{{id}}")
    method, path = words
    if method not in (ANY_METHOD, *METHODS):
        raise PatternError(f"{method!r} in {text!r} is none of {', '.join(METHODS)}")
    segments = tuple(segment for segment in path.split("/") if segment)
    for number, segment in enumerate(segments, 1):
        if not _SEGMENT.fullmatch(segment):
            message = f"{segment!r} in {text!r} is neither a literal nor a placeholder in braces, such as {{id}}"
            raise PatternError(message)
        if segment == "*" and number < len(segments):
            raise PatternError(f"* in {text!r} is not at its end; a placeholder such as {{id}} stands for one segment")
    return TransactionPattern(method, segments, openapi)


def read_openapi(content: bytes) -> list[TransactionPattern]:
    """The operations of an OpenAPI document, in YAML or JSON, 2.0 to 3.2, below the paths of its servers.

    Raises:
        PatternError: It is not one.
    """
    if len(content) > MAX_OPENAPI_BYTES:
        raise PatternError(f"it has more than {MAX_OPENAPI_BYTES} bytes")
    try:
        document = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PatternError(f"it is neither YAML nor JSON: {str(error).splitlines()[0]}") from None
    paths = document.get("paths") if isinstance(document, dict) else None
    if not isinstance(paths, dict):
        raise PatternError("it has no paths, so it is no OpenAPI document")
    found: dict[TransactionPattern, None] = {}
    for base in _bases(document):
        for path, operations in paths.items():
            for method in operations if isinstance(operations, dict) else ():
                if str(method).upper() in METHODS:
                    path = str(path).split("?")[0]
                    found[parse_pattern(f"{str(method).upper()} {base}{path}", openapi=True)] = None
    if len(found) > MAX_PATTERNS:
        raise PatternError(f"it has {len(found)} operations, more than {MAX_PATTERNS}")
    return list(found)


def _bases(document: Mapping[str, Any]) -> list[str]:
    """The paths of the servers, without the slash at their ends; a variable in one is a placeholder."""
    servers = document.get("servers")
    if "basePath" in document:
        urls = [str(document["basePath"])]
    elif isinstance(servers, list) and servers:
        urls = [str(server.get("url", "")) for server in servers if isinstance(server, dict)]
    else:
        urls = [""]
    return list(dict.fromkeys(urlsplit(url).path.rstrip("/") for url in urls))
