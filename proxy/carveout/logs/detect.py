"""Which format a log has, told from its first lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from proxy.carveout.logs.formats import ALB, JSON, Format
from proxy.carveout.logs.layout import KNOWN_LAYOUTS, compile_layout
from proxy.carveout.logs.problems import LogError

_ALB: Final = re.compile(r'(?:https?|h2|wss?|grpcs?) [0-9T:.-]+Z [^ ]+ [^ ]+ [^ ]+ [-.0-9]+ [-.0-9]+ [-.0-9]+ .*".*')
_JSON: Final = re.compile(r'\{ ?"time": ?".*\}')

_SHAPES: Final = {
    "$request_time": r"[0-9]+\.[0-9]{3}",
    "$upstream_response_time": r"(?:-|[0-9]+\.[0-9]{3})(?:(?:, | : )(?:-|[0-9]+\.[0-9]{3}))*",
    "$upstream_header_time": r"[-0-9., :]*",
    "$upstream_connect_time": r"[-0-9., :]*",
    "$status": "[0-9]{3}",
    "%>s": "[0-9]{3}",
    "%D": "[0-9]+",
    "$time_local": r"[0-9]{2}/[A-Za-z]{3}/[0-9]{4}:[0-9:]{8} [+-][0-9]{4}",
    "%t": r"\[[0-9]{2}/[A-Za-z]{3}/[0-9]{4}:[0-9:]{8} [+-][0-9]{4}\]",
}
_VARIABLE: Final = re.compile(r"\$[a-z_]+|%(?:>|\{[^}]*\})?[A-Za-z]")
_FIRST_LINES: Final = 200

KNOWN: Final = {"alb": ALB, "json": JSON} | {
    name: compile_layout(layout, name) for name, layout in KNOWN_LAYOUTS.items()
}


def detect(lines: Sequence[str], source: str) -> Format:
    """Choose the format that most of the first lines have.

    Raises:
        LogError: There is none, or it does not tell durations.
    """
    first = [line for line in lines[:_FIRST_LINES] if line.strip()]
    if not first:
        raise LogError(f"{source} is empty")
    counts = {name: sum(map(bool, map(pattern.fullmatch, first))) for name, pattern in _PATTERNS.items()}
    name = max(counts, key=lambda one: counts[one])
    if counts[name] * 2 < len(first):
        raise LogError(
            f"{source}: none of the formats {', '.join(KNOWN)} and har fits its first line {first[0][:120]!r}; give "
            "its log_format or LogFormat string with --format"
        )
    return with_times(KNOWN[name], source)


def named(text: str) -> Format:
    """The format of a name, or of a `log_format` or `LogFormat` string; raise LogError if it is neither."""
    if text in KNOWN:
        return with_times(KNOWN[text], text)
    if "$" not in text and "%" not in text:
        raise LogError(f"unknown log format {text!r}: choose one of {', '.join(KNOWN)} or har, or give a format string")
    return with_times(compile_layout(text), text)


def with_times(known: Format, source: str) -> Format:
    """The format itself; raise LogError if its lines do not tell how long a request took."""
    if known.has_times:
        return known
    raise LogError(
        f"{source}: its lines do not tell how long a request took; add $request_time and $upstream_response_time to "
        "nginx's log_format, or %D to Apache's LogFormat"
    )


def _pattern(layout: str) -> re.Pattern[str]:
    """The shape of a whole line."""
    parts: list[str] = []
    end = 0
    for match in _VARIABLE.finditer(layout):
        literal = layout[end : match.start()]
        quoted = layout[match.start() - 1 : match.start()] == '"'
        parts.append(re.escape(literal))
        parts.append(_SHAPES.get(match[0], r'(?:[^"\\]|\\.)*' if quoted else '[^ "]*'))
        end = match.end()
    return re.compile("".join(parts) + re.escape(layout[end:]))


_PATTERNS: Final = {"alb": _ALB, "json": _JSON} | {name: _pattern(layout) for name, layout in KNOWN_LAYOUTS.items()}
