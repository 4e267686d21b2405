"""The transforms of a rule (alb.md 4) and the replacements in them.

A replacement is literal text, with `$1`, `$2`, ... for what a group of the regex took. The load balancer's documents
stop there, so the rest is decided here: all digits behind a `$` are the number, so `$10` is group ten and never group
one before a `0`; `$0` is refused, since groups count from 1; a `$` without a digit behind it stands for itself, so `$$`
is two of them.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.config.model import TransformConfig, TransformType
from proxy.config.problem import Place, Report
from proxy.config.records import Field, Fields, ListOf, Record
from proxy.config.regexes import group_count, regex_fault
from proxy.config.shapes import Fault, Text

_REFERENCE: Final = re.compile(r"\$([0-9]+)")
_LITERAL: Final[dict[TransformType, tuple[re.Pattern[str], str]]] = {
    "url-rewrite": (
        re.compile(r"[!\"$-~]*"),
        "contains a character that neither path nor query can hold: percent-encode it",
    ),
    "host-header-rewrite": (
        re.compile(r"[A-Za-z0-9\-._~%!$&'()*+,;=:\[\]]*"),
        "contains a character that no Host can hold",
    ),
}


def replacement_parts(replace: str) -> tuple[str | int, ...]:
    """Literal text and group numbers by turns, beginning and ending with a text."""
    pieces = _REFERENCE.split(replace)
    return tuple(piece if number % 2 == 0 else int(piece) for number, piece in enumerate(pieces))


def replacement_fault(transform: TransformType, replace: str, groups: int) -> Fault | None:
    """Why this cannot take the place of a match of a regex with so many groups; None when it can."""
    literal, message = _LITERAL[transform]
    if not literal.fullmatch(replace):
        return Fault("invalid-character", message)
    numbers = [part for part in replacement_parts(replace) if isinstance(part, int)]
    if 0 in numbers:
        message = "refers to $0, and groups count from $1: put the whole regex in parentheses and write $1"
        return Fault("invalid-value", message)
    if any(number > groups for number in numbers):
        has = f"{groups or 'no'} group{'' if groups == 1 else 's'}"
        return Fault("invalid-value", f"refers to a group that is not there: the regex has {has}")
    return None


_REGEX = Field("regex", Text("a regular expression", checks=(regex_fault,)), "What is searched.", required=True)
_REPLACE = Field(
    "replace",
    Text("a replacement", shortest=0),
    "What takes the place of the first match; $1 is a group.",
    required=True,
)


def _rewrite(transform: TransformType, about: str) -> Field[TransformConfig]:
    def build(fields: Fields) -> TransformConfig | None:
        regex, replace = fields.find(_REGEX), fields.find(_REPLACE)
        if regex is None or replace is None:
            return None
        fault = replacement_fault(transform, replace, group_count(regex))
        if fault is not None:
            fields.error(fault.code, _REPLACE, f"replace {fault.message}")
        return TransformConfig(transform, regex, replace, fields.place)

    return Field(transform, Record("a rewrite", (_REGEX, _REPLACE), build), about)


TRANSFORM_FIELDS: tuple[Field[TransformConfig], ...] = (
    _rewrite("url-rewrite", "Rewrites path and query; the path is decoded."),
    _rewrite("host-header-rewrite", "Rewrites the Host header."),
)


def _the_one(fields: Fields) -> TransformConfig | None:
    return next((value for field in TRANSFORM_FIELDS if (value := fields.find(field))), None)


def _one_of_each(transforms: tuple[TransformConfig, ...], place: Place, report: Report) -> tuple[TransformConfig, ...]:
    seen = set()
    for transform in transforms:
        if transform.type in seen:
            message = f"{transform.type} comes more than once; a rule has one of each type"
            report.error("duplicate-transform", transform.place, message)
        seen.add(transform.type)
    return transforms


TRANSFORMS: Field[tuple[TransformConfig, ...]] = Field(
    "transforms",
    ListOf(Record("a transform", TRANSFORM_FIELDS, _the_one, exactly_one=True), "a list of transforms").then(
        _one_of_each
    ),
    "Rewrites before the action; which rule matched does not change.",
)
