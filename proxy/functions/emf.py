"""The embedded metric format: what a log line says about metrics (CloudWatch, EMF specification)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

MAX_METRICS = 100
MAX_DIMENSIONS = 30
MAX_VALUES = 100
MAX_NAMESPACE = 255
MAX_CHARACTERS = 1024
"""Of a metric's name, and of a dimension's name and value."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of one set of dimensions."""

    namespace: str
    name: str
    unit: str
    dimensions: tuple[tuple[str, str], ...]
    values: tuple[float, ...]


def metrics_of(line: str) -> list[Metric]:
    """The metrics that a line holds; none when it is not in the format. What is malformed in it is left out."""
    if not line.startswith("{") or '"_aws"' not in line:
        return []
    try:
        root = json.loads(line)
    except (ValueError, RecursionError):
        return []
    directives = _list(_object(root.get("_aws")).get("CloudWatchMetrics"))
    return [metric for directive in directives for metric in _directive(_object(directive), root)]


def _directive(directive: dict[str, Any], root: dict[str, Any]) -> list[Metric]:
    namespace = directive.get("Namespace")
    if not _is_text(namespace, MAX_NAMESPACE):
        return []
    sets = [one for names in _list(directive.get("Dimensions")) if (one := _dimensions(names, root)) is not None]
    found: list[Metric] = []
    for definition in _list(directive.get("Metrics"))[:MAX_METRICS]:
        name = _object(definition).get("Name")
        unit = _object(definition).get("Unit", "None")
        values = _values(root.get(str(name))) if _is_text(name) and _is_text(unit) else ()
        if values:
            found += [Metric(str(namespace), str(name), unit, dimensions, values) for dimensions in sets or [()]]
    return found


def _dimensions(names: Any, root: dict[str, Any]) -> tuple[tuple[str, str], ...] | None:
    if not isinstance(names, list) or len(names) > MAX_DIMENSIONS:
        return None
    pairs = [(name, root.get(name)) for name in names if _is_text(name)]
    if len(pairs) != len(names) or not all(_is_text(value) for _, value in pairs):
        return None
    return tuple(sorted((name, str(value)) for name, value in pairs))


def _values(value: Any) -> tuple[float, ...]:
    """The values, none of them if one is not a finite number: a sum would never recover from it."""
    values = value if isinstance(value, list) else [value]
    if len(values) > MAX_VALUES or any(not isinstance(one, int | float) or isinstance(one, bool) for one in values):
        return ()
    try:
        found = tuple(map(float, values))
    except OverflowError:
        return ()
    return found if all(map(math.isfinite, found)) else ()


def _is_text(value: Any, longest: int = MAX_CHARACTERS) -> bool:
    """Whether this can be a label: not too long, and without halves of characters, which JSON may have."""
    return isinstance(value, str) and 1 <= len(value) <= longest and not any("\ud800" <= c <= "\udfff" for c in value)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
