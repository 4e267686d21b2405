"""The transforms of a rule (alb.md 4): checked, and refused until there is something behind them."""

from __future__ import annotations

from collections import Counter

from proxy.config.problem import Place, Report
from proxy.config.records import Effect, Field, Fields, ListOf, Record
from proxy.config.regexes import regex_fault
from proxy.config.shapes import Text

_REWRITE = Record(
    "a rewrite",
    (
        Field("regex", Text("a regular expression", checks=(regex_fault,)), "What is searched.", required=True),
        Field("replace", Text("a replacement", shortest=0), "What stands instead; $1 is a group.", required=True),
    ),
    lambda fields: True,
)
_TRANSFORM_FIELDS = (
    Field("url-rewrite", _REWRITE, "Rewrites path and query."),
    Field("host-header-rewrite", _REWRITE, "Rewrites the Host header."),
)


def _transform_type(fields: Fields) -> str | None:
    return next((field.name for field in _TRANSFORM_FIELDS if fields.has(field)), None)


def _one_of_each(types: tuple[str, ...], place: Place, report: Report) -> tuple[str, ...]:
    for twice in (name for name, count in Counter(types).items() if count > 1):
        report.error("duplicate-transform", place, f"{twice} comes more than once; a rule has one of each type")
    return types


TRANSFORMS: Field[tuple[str, ...]] = Field(
    "transforms",
    ListOf(Record("a transform", _TRANSFORM_FIELDS, _transform_type, exactly_one=True), "a list of transforms").then(
        _one_of_each
    ),
    "Rewrites before the action; which rule matched does not change.",
    effect=Effect.LATER,
    default=(),
)
