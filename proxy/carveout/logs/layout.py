"""nginx's `log_format` and Apache's `LogFormat` as SQL: a line is cut at its quotes, then at its blanks.

That is how these servers make sure that a line can be read back: a quote inside a quoted value is written `\\x22`
(nginx) or `\\"` (Apache). It is some fifteen times as fast as a regular expression with a group for each field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from proxy.carveout.logs.formats import Format
from proxy.carveout.logs.problems import LogError

_VARIABLE: Final = re.compile(
    r"\$\{?(?P<nginx>[a-z_0-9]+)\}?|%[<>]?(?:!?[0-9,]*)?(?:\{(?P<argument>[^}]*)\})?(?P<apache>\^[A-Z]{2}|[A-Za-z])"
)
_CLF: Final = ("$time_local", "%t")
"""The two whose value has a blank in it: `[10/Oct/2000:13:55:36 -0700]`."""


@dataclass(frozen=True, slots=True)
class _Value:
    """SQL for the text of one variable; what never happened, `-`, is NULL."""

    sql: str

    def number(self, kind: str = "DOUBLE") -> str:
        return f"TRY_CAST({self.sql} AS {kind})"

    def last_number(self, kind: str = "DOUBLE") -> str:
        """nginx lists every target that it tried, `0.010, 0.020 : 0.001`; the last one answered."""
        return f"TRY_CAST(regexp_extract({self.sql}, '([^,:]*)$', 1) AS {kind})"


def compile_layout(layout: str, name: str = "custom") -> Format:
    """Make a format from a `log_format` or `LogFormat` string.

    Raises:
        LogError: A field that cannot be done without is missing, or stands where it cannot be told apart.
    """
    values = {variable: _Value(f"nullif({sql}, '-')") for variable, sql in _variables(layout)}
    fields = _fields(values)
    missing = [what for column, what in _NEEDED.items() if fields.get(column) is None]
    if missing:
        raise LogError(
            f"the log format {layout!r} does not tell {' and '.join(missing)}; each variable has to stand alone, in "
            "quotes or between blanks"
        )
    has_times = fields["seconds"] is not None
    columns = ",\n  ".join(f"{sql or _NULLS[column]} AS {column}" for column, sql in fields.items())
    splits = ", ".join(
        f"string_split({_tidied(index)}, ' ') AS words{index}"
        for index, piece in enumerate(layout.split('"'))
        if index % 2 == 0 or " " in piece
    )
    query = f"""
WITH quoted AS (SELECT file, line, string_split(replace(line, '\\"', '\\x22'), '"') AS parts FROM lines),
words AS (SELECT file, line, parts, {splits} FROM quoted),
fields_of AS (SELECT file, line, {columns} FROM words)
SELECT file, line, ended_at, ended_at - total AS started_at, seconds, first_byte, method, url, client_ip, user_agent,
  status, request_bytes, response_bytes, coalesce(target_group, '') AS target_group, asked,
  coalesce(status, 0) = 101 AS is_stream
FROM fields_of
"""
    return Format(name, (("fields", query),), has_times)


_NEEDED: Final = {
    "ended_at": "when ($time_local, $time_iso8601, $msec or %t)",
    "method": "the request ($request or %r)",
    "status": "the status ($status or %>s)",
}
_NULLS: Final = {
    "seconds": "CAST(0 AS DOUBLE)",
    "total": "CAST(0 AS DOUBLE)",
    "first_byte": "CAST(NULL AS DOUBLE)",
    "request_bytes": "CAST(NULL AS BIGINT)",
    "response_bytes": "CAST(NULL AS BIGINT)",
    "client_ip": "CAST(NULL AS VARCHAR)",
    "user_agent": "CAST(NULL AS VARCHAR)",
    "target_group": "CAST(NULL AS VARCHAR)",
}


def _fields(values: dict[str, _Value]) -> dict[str, str | None]:
    def first(*choices: tuple[str, str]) -> str | None:
        for variable, template in choices:
            if variable in values:
                value = values[variable]
                return template.format(value.sql, number=value.number(), last=value.last_number())
        return None

    def count(*variables: str) -> str | None:
        return next((values[one].number("BIGINT") for one in variables if one in values), None)

    total = first(
        ("$request_time", "{number}"),
        ("%D", "{number} / 1e6"),
        ("%{us}T", "{number} / 1e6"),
        ("%{ms}T", "{number} / 1e3"),
        ("%T", "{number}"),
        ("%{s}T", "{number}"),
    )
    of_target = first(("$upstream_response_time", "{last}"))
    asked = first(("$upstream_response_time", "{0} IS NOT NULL"), ("$upstream_addr", "{0} IS NOT NULL"))
    seconds = f"coalesce({of_target}, {total or 0}, 0)" if of_target else total
    received = first(("%t", "CLF_SECONDS({0})"))
    ended = first(("$msec", "{number}"), ("$time_iso8601", "ISO_SECONDS({0})"), ("$time_local", "CLF_SECONDS({0})"))
    status = _status(values)
    return {
        "ended_at": ended or (received and f"{received} + {total or 0}"),
        "total": total or of_target,
        "seconds": seconds,
        "first_byte": first(("$upstream_header_time", "{last}"), ("%^FB", "{number} / 1e6")),
        "method": first(
            ("$request", "coalesce(split_part({0}, ' ', 1), '-')"),
            ("%r", "coalesce(split_part({0}, ' ', 1), '-')"),
            ("$request_method", "{0}"),
            ("%m", "{0}"),
        ),
        "url": first(
            ("$request", "coalesce(split_part({0}, ' ', 2), '')"),
            ("%r", "coalesce(split_part({0}, ' ', 2), '')"),
            ("$request_uri", "{0}"),
            ("$uri", "{0}"),
            ("%U", "{0}"),
        ),
        "status": status,
        "client_ip": first(("$remote_addr", "{0}"), ("%a", "{0}"), ("%h", "{0}")),
        "user_agent": first(("$http_user_agent", "{0}"), ("%{User-Agent}i", "{0}")),
        "request_bytes": count("$request_length", "%I"),
        "response_bytes": count("$bytes_sent", "%O", "$body_bytes_sent", "%B", "%b"),
        "target_group": first(
            ("$proxy_host", "{0}"),
            ("$upstream_addr", "regexp_extract({0}, '([^,]*)$', 1)"),
            ("$server_name", "{0}"),
            ("$host", "{0}"),
            ("%v", "{0}"),
            ("%V", "{0}"),
        ),
        "asked": asked or "TRUE",
    }


def _status(values: dict[str, _Value]) -> str | None:
    own = next((values[one].number("INT") for one in ("$status", "%s") if one in values), None)
    if own is None or "$upstream_status" not in values:
        return own
    return f"coalesce({values['$upstream_status'].last_number('INT')}, {own})"


def _variables(layout: str) -> Iterator[tuple[str, str]]:
    """Each variable that stands alone, with the SQL for its text."""
    for index, piece in enumerate(layout.split('"')):
        if index % 2 and " " not in piece:
            yield from _word(piece, f"parts[{index + 1}]")
            continue
        place = 1
        for word in piece.split(" "):
            found = list(_word(word, f"words{index}[{place}]"))
            if found and found[0][0] in _CLF:
                variable, _ = found[0]
                both = f"concat(words{index}[{place}], ' ', words{index}[{place + 1}])"
                yield variable, f"replace(replace({both}, '[', ''), ']', '')"
                place += 1
            else:
                yield from found
            place += 1


def _word(word: str, sql: str) -> Iterator[tuple[str, str]]:
    found = list(_VARIABLE.finditer(word))
    if len(found) != 1:
        return
    match = found[0]
    before, after = match.start(), len(word) - match.end()
    if before or after:
        sql = f"substring({sql}, {before + 1}, length({sql}) - {before + after})"
    if match["nginx"]:
        yield f"${match['nginx']}", sql
    else:
        argument = f"{{{match['argument']}}}" if match["argument"] else ""
        yield f"%{argument}{match['apache']}", sql


def _tidied(index: int) -> str:
    """A piece whose lists hold no blanks; what is in quotes may have commas of its own."""
    part = f"parts[{index + 1}]"
    return part if index % 2 else f"replace(replace({part}, ', ', ','), ' : ', ':')"


_COMMON: Final = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent'
_COMBINED: Final = f'{_COMMON} "$http_referer" "$http_user_agent"'
_APACHE: Final = '%h %l %u %t "%r" %>s %O'

KNOWN_LAYOUTS: Final = {
    "combined-upstream-time": f"{_COMBINED} $request_time $upstream_response_time",
    "combined-named-times": f'{_COMBINED} rt=$request_time uct="$upstream_connect_time" uht="$upstream_header_time"'
    ' urt="$upstream_response_time"',
    "combined-time": f"{_COMBINED} $request_time",
    "main-upstream-time": f'{_COMBINED} "$http_x_forwarded_for" $request_time $upstream_response_time',
    "main-time": f'{_COMBINED} "$http_x_forwarded_for" $request_time',
    "apache-combined-microseconds": f'{_APACHE} "%{{Referer}}i" "%{{User-Agent}}i" %D',
    "apache-common-microseconds": f"{_APACHE} %D",
    "combined": _COMBINED,
    "common": _COMMON,
}
"""Layouts that are told apart from the lines alone, the last two only to say what they lack."""
