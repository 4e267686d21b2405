"""What dashboards and rules refer to exists, and what they show is explained."""

import re
from collections import Counter
from itertools import combinations
from typing import Any

import pytest
import yaml
from dashboard_queries import (
    DASHBOARDS,
    OBSERVABILITY,
    Query,
    alert_rules,
    grouping_labels,
    labels_by_series,
    load_dashboard,
    panels,
    queries,
    recording_rules,
    series_names,
    substitute,
    variables,
)

from proxy.observe.families import FAMILIES

ADDED_BY_PROMETHEUS = {"job", "instance", "le"}
SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
SERIES = {family.name + suffix: family.labels for family in FAMILIES for suffix in SUFFIXES[family.kind]}
RECORDED = {rule["record"] for rule in recording_rules()}
LABELS = {label for family in FAMILIES for label in family.labels} | ADDED_BY_PROMETHEUS

DASHBOARD = load_dashboard(DASHBOARDS[0])
DASHBOARD_QUERIES = list(queries(DASHBOARD))
RULE_QUERIES = [
    Query(rule.get("record") or rule["alert"], rule["expr"], False) for rule in (*recording_rules(), *alert_rules())
]
VARIABLE_QUERIES = [Query(f"variable {each.variable}", each.selector, False) for each in variables(DASHBOARD)]

every_query = pytest.mark.parametrize(
    "query",
    [*DASHBOARD_QUERIES, *VARIABLE_QUERIES, *RULE_QUERIES],
    ids=lambda query: query.where.replace(" ", "-"),
)
every_panel = pytest.mark.parametrize("panel", panels(DASHBOARD), ids=lambda panel: panel["title"].replace(" ", "-"))


def test_there_is_one_dashboard() -> None:
    assert [path.name for path in DASHBOARDS] == ["routes.json"]


@every_query
def test_a_query_reads_series_that_exist(query: Query) -> None:
    names = series_names(query.expr)

    assert names
    assert names - SERIES.keys() - RECORDED - {"up"} == set()


@every_query
def test_a_query_matches_labels_that_its_series_have(query: Query) -> None:
    unknown = [
        (series, label)
        for series, label in labels_by_series(query.expr)
        if label not in ADDED_BY_PROMETHEUS and label not in SERIES.get(series, LABELS)
    ]

    assert unknown == []


@every_query
def test_a_query_groups_by_labels_that_exist(query: Query) -> None:
    assert grouping_labels(query.expr) - LABELS == set()


@pytest.mark.parametrize("query", DASHBOARD_QUERIES, ids=lambda query: query.where.replace(" ", "-"))
def test_a_dashboard_query_uses_variables_that_exist(query: Query) -> None:
    known = {variable["name"]: "x" for variable in DASHBOARD["templating"]["list"]} | {"__rate_interval": "1m"}

    assert "$" not in substitute(query.expr, known)


@pytest.mark.parametrize("name", ["listener", "rule", "target_group"])
def test_the_dashboard_can_be_narrowed_to(name: str) -> None:
    (variable,) = [each for each in DASHBOARD["templating"]["list"] if each["name"] == name]

    assert (variable["multi"], variable["includeAll"], variable["allValue"]) == (True, True, ".*")
    assert any(f"${name}" in query.expr for query in DASHBOARD_QUERIES)


SHOWN = {
    "strangler_requests_total",
    "strangler_request_duration_seconds_bucket",
    "strangler_target_response_duration_seconds_bucket",
    "strangler_overhead_seconds_bucket",
    "strangler_rule_weight",
    "strangler_target_healthy",
    "strangler_in_flight_requests",
    "strangler_elb_errors_total",
    "strangler_cut_responses_total",
    "strangler_request_bytes_total",
    "strangler_response_bytes_total",
    "strangler_rule_last_hit_timestamp_seconds",
    "strangler_config_last_reload_successful",
    "strangler_config_reloads_total",
    "strangler_access_log_dropped_total",
    "strangler_connection_log_dropped_total",
    "strangler_target_responses_total",
    "strangler_client_connections",
    "strangler_target_connections",
    "strangler_target_connections_opened_total",
    "strangler_targets",
    "strangler_target_group_fail_open",
}


@pytest.mark.parametrize("series", sorted(SHOWN))
def test_the_dashboard_shows(series: str) -> None:
    assert any(series in series_names(query.expr) for query in DASHBOARD_QUERIES)


@every_panel
def test_a_panel_says_what_it_shows_and_where_from(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


def test_panels_have_their_own_ids_and_places() -> None:
    ids = Counter(panel["id"] for panel in DASHBOARD["panels"])
    overlapping = [
        (a["title"], b["title"])
        for a, b in combinations(DASHBOARD["panels"], 2)
        if _overlap(a["gridPos"], b["gridPos"])
    ]

    assert max(ids.values()) == 1
    assert overlapping == []
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in DASHBOARD["panels"])


def _overlap(a: dict[str, int], b: dict[str, int]) -> bool:
    return (
        a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]
    )


def test_reloads_good_and_refused_are_marks_at_their_time() -> None:
    marks = DASHBOARD["annotations"]["list"]

    assert len(marks) == 2
    assert all(mark["useValueForTime"] and mark["enable"] for mark in marks)


@pytest.mark.parametrize("alert", alert_rules(), ids=lambda alert: alert["alert"])
def test_an_alert_tells_what_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["alert"].startswith("Strangler")
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert not alert["annotations"]["summary"].endswith(".")
    assert alert["annotations"]["description"].endswith(".")


def test_names_of_recorded_series_have_level_metric_and_operation() -> None:
    assert [name for name in RECORDED if not re.fullmatch(r"[a-z_]+:strangler_[a-z0-9_]+:[a-z0-9_]+", name)] == []


def test_no_name_is_recorded_or_alerted_twice() -> None:
    names = Counter(rule.get("record") or rule["alert"] for rule in (*recording_rules(), *alert_rules()))

    assert {name for name, count in names.items() if count > 1} == set()


def test_the_default_data_source_is_the_one_that_the_dashboard_begins_with() -> None:
    (source,) = yaml.safe_load((OBSERVABILITY / "grafana/provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    (variable,) = [each for each in DASHBOARD["templating"]["list"] if each["name"] == "datasource"]

    assert variable["current"] == {"text": source["name"], "value": source["uid"]}
    assert source["isDefault"]
    prometheus = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]


DOCS = (OBSERVABILITY.parent / "docs" / "observability.md").read_text()


def test_the_docs_list_every_metric() -> None:
    first_cells = re.findall(r"^\| (`strangler_.*?) \| (?:counter|gauge|histogram) \|", DOCS, re.MULTILINE)
    documented = [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]

    assert sorted(documented) == sorted(family.name for family in FAMILIES)


def test_the_docs_list_every_alert() -> None:
    documented = re.findall(r"^\| `(Strangler\w+)` \|.*\| (\w+) \|$", DOCS, re.MULTILINE)

    assert documented == [(alert["alert"], alert["labels"]["severity"]) for alert in alert_rules()]
