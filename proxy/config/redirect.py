"""`redirect`: its fields, placeholders and the check for a loop (alb.md 3.2)."""

from __future__ import annotations

import re
from typing import Literal

from proxy.config.model import RedirectConfig
from proxy.config.records import Field, Fields, Record
from proxy.config.shapes import Check, Choice, Fault, Integer, IntegerOrWord, Text, printable

_PLACEHOLDER = re.compile(r"#\{(\w*)\}?")


def _placeholders(known: tuple[str, ...], *, once: bool) -> Check:
    def check(text: str) -> Fault | None:
        found = _PLACEHOLDER.findall(text)
        if set(found) - set(known) or text.count("#") != len(re.findall(r"#\{\w+\}", text)):
            words = " ".join(f"#{{{name}}}" for name in known)
            return Fault("invalid-placeholder", f"has a # that begins no placeholder of this field; known: {words}")
        if once and len(found) != len(set(found)):
            return Fault("invalid-placeholder", "has the same placeholder twice; each may come once")
        return None

    return check


def _not_encoded(text: str) -> Fault | None:
    return Fault("invalid-value", "contains %, but must not be percent-encoded") if "%" in text else None


def _begins_with_slash(text: str) -> Fault | None:
    return None if text.startswith("/") else Fault("invalid-value", "must begin with /")


def _no_question_mark_first(text: str) -> Fault | None:
    return Fault("invalid-value", "begins with ?, which is added by itself") if text.startswith("?") else None


def _host_characters(text: str) -> Fault | None:
    if re.fullmatch(r"(?:[A-Za-z0-9._*?-]|#\{host\})+", text):
        return None
    return Fault("invalid-value", "is not a host: letters, digits, - . and #{host}; a port goes into port")


REDIRECT_PROTOCOL = Field("protocol", Choice("HTTP", "HTTPS", "#{protocol}"), "Default #{protocol}.")
REDIRECT_HOST = Field(
    "host",
    Text(
        "a redirect host",
        longest=128,
        checks=(_placeholders(("host",), once=True), _not_encoded, _host_characters),
    ),
    "Default #{host}.",
)
REDIRECT_PORT = Field(
    "port",
    IntegerOrWord(Integer(1, 65535, texts=True), "#{port}"),
    "A number, or #{port} in quotes, which is the default.",
)
REDIRECT_PATH = Field(
    "path",
    Text(
        "a redirect path",
        longest=128,
        checks=(
            printable,
            _begins_with_slash,
            _not_encoded,
            _placeholders(("host", "path", "port"), once=True),
        ),
    ),
    "Begins with /; #{path} is the path without its leading slash. Default /#{path}.",
)
REDIRECT_QUERY = Field(
    "query",
    Text(
        "a redirect query",
        shortest=0,
        longest=128,
        checks=(
            printable,
            _no_question_mark_first,
            _placeholders(("protocol", "host", "port", "path", "query"), once=False),
        ),
    ),
    "Without its ?. In YAML it needs quotes. Default #{query}.",
)
REDIRECT_STATUS = Field("status_code", Choice("HTTP_301", "HTTP_302"), "HTTP_301 or HTTP_302.", required=True)


def _redirect(fields: Fields) -> RedirectConfig:
    status: Literal[301, 302] = 301 if fields.find(REDIRECT_STATUS) == "HTTP_301" else 302
    port = fields.get(REDIRECT_PORT, "#{port}")
    redirect = RedirectConfig(
        status,
        fields.get(REDIRECT_PROTOCOL, "#{protocol}"),
        fields.get(REDIRECT_HOST, "#{host}"),
        str(port),
        fields.get(REDIRECT_PATH, "/#{path}"),
        fields.get(REDIRECT_QUERY, "#{query}"),
        fields.place,
    )
    moved = (REDIRECT_PROTOCOL, REDIRECT_HOST, REDIRECT_PORT, REDIRECT_PATH)
    refused = any(fields.has(field) and fields.find(field) is None for field in moved)
    as_requested = (redirect.protocol, redirect.host, redirect.port, redirect.path) == (
        "#{protocol}",
        "#{host}",
        "#{port}",
        "/#{path}",
    )
    if as_requested and not refused:
        message = "this redirect leads to itself: change protocol, host, port or path; the query is not enough"
        fields.report.error("redirect-loop", fields.place, message)
    return redirect


REDIRECT: Field[RedirectConfig] = Field(
    "redirect",
    Record(
        "redirect",
        (REDIRECT_PROTOCOL, REDIRECT_HOST, REDIRECT_PORT, REDIRECT_PATH, REDIRECT_QUERY, REDIRECT_STATUS),
        _redirect,
    ),
    "Answers with another URL.",
)
