"""A path taken apart: each segment as it is written, and as what it looks like when it is a value.

    /orders/1042/items.json     ->  orders | {name}      1042 | {id}      items.json | {name}.json

The kinds of value are regular expressions without look-around, so that RE2, and with it an SQL engine, tells them
apart exactly as this module does.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

MAX_DEPTH: Final = 12
"""Segments that are looked at; what follows is `{rest}`."""
MAX_LITERAL: Final = 48
"""Characters of a segment that may become part of a name."""

ID: Final = "{id}"
NAME: Final = "{name}"
DATE: Final = "{date}"
EMAIL: Final = "{email}"
REST: Final = "{rest}"

_AT: Final = "(?:@|%40)"
KIND_PATTERNS: Final = {
    DATE: r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2}(?:[T_ ][0-9:.Z+-]*)?)?",
    EMAIL: rf"[^/@]+{_AT}[^/@]+\.[A-Za-z]{{2,}}",
    ID: (
        r"(?:-?[0-9][0-9.,:_+-]*"
        r"|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{8,}"
        # Letters and digits by turns, three digits beside something else, a digit in a long run,
        # capitals where no word has them, a very long run.
        r"|[^/]*(?:[A-Za-z][0-9]+[A-Za-z]+[0-9]|[0-9][A-Za-z]+[0-9]+[A-Za-z]|[A-Za-z_.~:,-][0-9]{3}|[0-9]{3}[A-Za-z_.~:,-]"
        r"|[A-Za-z]{2}[0-9][A-Za-z]{8}|[A-Za-z]{4}[0-9][A-Za-z]{6}|[A-Za-z]{8}[0-9][A-Za-z]{2}"
        r"|[a-z][A-Z]+[a-z][A-Z]|[A-Za-z0-9]{28})[^/]*|[a-z]{2,6}_[A-Za-z0-9]*[a-z0-9][A-Z][A-Za-z0-9]*)"
    ),
    NAME: r"[^/]+",
    REST: r".+",
}
"""What each kind of value matches in a path as sent; `{name}` is whatever is none of the others."""

_EXTENSIONS: Final = (
    "json|xml|html?|js|mjs|css|map|png|jpe?g|gif|svg|webp|avif|ico|pdf|csv|tsv|txt|md|zip|gz|tar|ics|rss|atom|php|aspx?|"
    "jsp|do|action|woff2?|ttf|mp[34]|webm|ya?ml|wasm|xlsx?|docx?"
)
_SUFFIX: Final = re.compile(rf"(.+?)(\.(?:{_EXTENSIONS})|:[A-Za-z][A-Za-z_]{{0,19}})", re.DOTALL)
_KINDS: Final = [(kind, re.compile(KIND_PATTERNS[kind], re.DOTALL)) for kind in (DATE, EMAIL, ID)]
_VERSION: Final = re.compile(r"v[0-9]{1,3}(?:\.[0-9]{1,3})?(?:(?:alpha|beta|rc)[0-9]{0,3})?")
_LITERAL: Final = re.compile(rf"[A-Za-z0-9_.~:@-]{{1,{MAX_LITERAL}}}")

Segment = tuple[str, str]
"""As written, "" if it can only be a value; and as the kind of value it looks like, an extension or a verb kept."""


@lru_cache(maxsize=4096)
def segment(raw: bytes) -> Segment:
    """Tell what one segment of a path is; path parameters (`;jsessionid=...`) are dropped."""
    raw = raw.partition(b";")[0]
    text = unquote_to_bytes(raw).decode("utf-8", "replace") if b"%" in raw else raw.decode("latin-1")
    if _VERSION.fullmatch(text):
        return text, NAME
    parts = _SUFFIX.fullmatch(text)
    stem, suffix = parts.groups() if parts else (text, "")
    for kind, pattern in _KINDS:
        if pattern.fullmatch(stem):
            return "", kind + suffix
    return (text if _LITERAL.fullmatch(text) else ""), NAME + suffix


def segments(path: bytes) -> list[Segment]:
    """The segments of a path without its query; empty ones, as a slash at the end makes, say nothing."""
    found = [segment(raw) for raw in path.split(b"/", 64)[:64] if raw]
    if len(found) > MAX_DEPTH:
        return [*found[:MAX_DEPTH], ("", REST)]
    return found


def is_value(key: str) -> bool:
    """Whether a segment of a template stands for values."""
    return key[0] == "{"


def is_plain(key: str) -> bool:
    """Whether it says nothing that must be earned: a kind of value, with an extension at most, but no verb."""
    return key[0] == "{" and ":" not in key


def pattern_of(key: str) -> str:
    """The regular expression for one segment of a learned template."""
    if not is_value(key):
        return re.escape(key)
    kind, _, suffix = key.partition("}")
    return KIND_PATTERNS[kind + "}"] + re.escape(suffix)
