"""Values that do nothing: covered by another value of their condition, or impossible to satisfy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from proxy.config.model import ConditionConfig
from proxy.rules.coverage.demands import Demand, choose, demand_of
from proxy.rules.coverage.work import UndecidedError, Work

_WHY_IMPOSSIBLE = {
    "path-pattern": "a path begins with /",
    "http-request-method": "TRACE and CONNECT are answered with 405 before any rule is asked",
    "http-header": "the white space around a header's value is no part of it",
    "query-string": "a key ends at = and a value at &",
    "host-header": "a host is compared in lower case and is not empty",
    "source-ip": "it holds no address",
}


@dataclass(frozen=True, slots=True)
class OneValue:
    """One value of a condition, as a condition of its own. `index` is its place among them, from 0."""

    index: int
    text: str
    demand: Demand


@dataclass(frozen=True, slots=True)
class Covered:
    """A value that other values of its condition make useless; `by` is one, or several that do so together."""

    value: OneValue
    by: tuple[OneValue, ...]


def values_of(condition: ConditionConfig) -> list[OneValue]:
    """A condition's values, apart from each other."""
    single: list[tuple[str, ConditionConfig]] = []
    single += [(value, replace(condition, values=(value,))) for value in condition.values]
    single += [(regex, replace(condition, regex_values=(regex,))) for regex in condition.regex_values]
    for pair in condition.pairs:
        text = pair.value if pair.key is None else f"{pair.key}: {pair.value}"
        single.append((text, replace(condition, pairs=(pair,))))
    return [OneValue(index, text, demand_of(one)) for index, (text, one) in enumerate(single)]


def why_impossible(value: OneValue, work: Work) -> str | None:
    """Why nothing a client can send satisfies this value; None if something does or may."""
    try:
        possible = choose(value.demand.part, [value.demand], (), work) is not None
    except UndecidedError:
        return None
    return None if possible else _WHY_IMPOSSIBLE[value.demand.part[0]]


def covered(values: Sequence[OneValue], work: Work) -> Iterator[Covered]:
    """The values that could be left out without a change, the later ones first."""
    remaining = list(values)
    for value in reversed(values):
        others = [other for other in remaining if other is not value]
        by = _cover(value, others, work)
        if by:
            remaining.remove(value)
            yield Covered(value, by)


def _cover(value: OneValue, others: Sequence[OneValue], work: Work) -> tuple[OneValue, ...]:
    for other in others:
        if _is_covered(value, [other], work):
            return (other,)
    return tuple(others) if len(others) > 1 and _is_covered(value, others, work) else ()


def _is_covered(value: OneValue, others: Sequence[OneValue], work: Work) -> bool:
    try:
        return choose(value.demand.part, [value.demand], [other.demand for other in others], work) is None
    except UndecidedError:
        return False
