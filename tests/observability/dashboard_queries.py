"""The queries of a Grafana dashboard and of Prometheus rule files, and what they refer to."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

OBSERVABILITY = Path(__file__).resolve().parents[2] / "observability"
DASHBOARDS = sorted((OBSERVABILITY / "grafana" / "dashboards").glob("*.json"))
RULE_FILES = sorted((OBSERVABILITY / "rules").glob("*.yml"))

_SPECIAL = re.compile(r"[\\^$*{}\[\]'+?.()|]")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_LABEL_VALUES = re.compile(r"label_values\((.+), *(\w+)\)")
_SELECTOR = re.compile(r"([a-z_:]*strangler_[a-z0-9_:]+|\bup\b)(\{[^}]*\})?")
_GROUPED = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right) *\(([^)]*)\)")
_MATCHER = re.compile(r"(\w+) *(?:=~|!~|!=|=)")


class Query(NamedTuple):
    """One query: where it stands, the expression, whether Grafana asks for a range of time or for now."""

    where: str
    expr: str
    is_range: bool


class LabelValues(NamedTuple):
    """What fills a variable of the dashboard: the values of `label` in the series of `selector`."""

    variable: str
    selector: str
    label: str


def load_dashboard(path: Path) -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads(path.read_text())
    return dashboard


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every panel that shows something; rows are only headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries(dashboard: Mapping[str, Any]) -> Iterator[Query]:
    """The queries of all panels and annotations, variables not yet replaced."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield Query(f"{panel['title']} {target['refId']}", target["expr"], bool(target["range"]))
    for annotation in dashboard["annotations"]["list"]:
        yield Query(f"annotation {annotation['name']}", annotation["expr"], True)


def variables(dashboard: Mapping[str, Any]) -> Iterator[LabelValues]:
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            match = _LABEL_VALUES.fullmatch(variable["query"]["query"])
            assert match, f"{variable['name']}: {variable['query']['query']}"
            yield LabelValues(variable["name"], match[1], match[2])


def substitute(expr: str, values: Mapping[str, str]) -> str:
    """Replace `$name` and `${name}` as Grafana does; KeyError for an unknown variable."""
    return _VARIABLE.sub(lambda match: values[match[1]], expr)


def all_of(values: list[str]) -> str:
    """What Grafana puts in place of a variable with several ticked values: escaped for a regex within a string."""
    return f"({'|'.join(_SPECIAL.sub(lambda match: chr(92) * 2 + match[0], value) for value in values)})"


def selectors(expr: str) -> list[str]:
    """The series that an expression reads, each with its matchers."""
    return [match[0] for match in _SELECTOR.finditer(expr)]


def series_names(expr: str) -> set[str]:
    """The names of the series that an expression reads."""
    return {match[1] for match in _SELECTOR.finditer(expr)}


def labels_by_series(expr: str) -> Iterator[tuple[str, str]]:
    """(series, label) of every matcher."""
    for match in _SELECTOR.finditer(expr):
        for matcher in _MATCHER.finditer(_STRING.sub("", match[2] or "")):
            yield match[1], matcher[1]


def grouping_labels(expr: str) -> set[str]:
    """Labels that an expression groups or joins by."""
    lists = (match[1] for match in _GROUPED.finditer(_STRING.sub("", expr)))
    return {label.strip() for each in lists for label in each.split(",") if label.strip()}


def rules() -> Iterator[dict[str, Any]]:
    """Every recording and alert rule."""
    for path in RULE_FILES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def recording_rules() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "record" in rule]


def alert_rules() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]
