"""The embedded metric format: what a log line says about metrics (CloudWatch, EMF specification)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

MAX_METRICS = 100
MAX_DIMENSIONS = 30
MAX_VALUES = 100


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
    if not isinstance(namespace, str) or not 1 <= len(namespace) <= 255:
        return []
    sets = [one for names in _list(directive.get("Dimensions")) if (one := _dimensions(names, root)) is not None]
    found: list[Metric] = []
    for definition in _list(directive.get("Metrics"))[:MAX_METRICS]:
        name = _object(definition).get("Name")
        values = _values(root.get(name)) if isinstance(name, str) else ()
        if values:
            unit = str(_object(definition).get("Unit", "None"))
            found += [Metric(namespace, str(name), unit, dimensions, values) for dimensions in sets or [()]]
    return found


def _dimensions(names: Any, root: dict[str, Any]) -> tuple[tuple[str, str], ...] | None:
    if not isinstance(names, list) or len(names) > MAX_DIMENSIONS:
        return None
    pairs = [(name, root.get(name)) for name in names if isinstance(name, str)]
    if len(pairs) != len(names) or not all(isinstance(value, str) for _, value in pairs):
        return None
    return tuple(sorted((name, str(value)) for name, value in pairs))


def _values(value: Any) -> tuple[float, ...]:
    values = value if isinstance(value, list) else [value]
    if len(values) > MAX_VALUES or not all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in values
    ):
        return ()
    return tuple(map(float, values))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
