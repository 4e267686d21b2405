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

BOARDS = {path.stem: load_dashboard(path) for path in DASHBOARDS}
DASHBOARD_QUERIES = [
    query._replace(where=f"{name} {query.where}") for name, board in BOARDS.items() for query in queries(board)
]
ROUTE_QUERIES = list(queries(BOARDS["routes"]))
RULE_QUERIES = [
    Query(rule.get("record") or rule["alert"], rule["expr"], False) for rule in (*recording_rules(), *alert_rules())
]
VARIABLE_QUERIES = [
    Query(f"{name} variable {each.variable}", each.selector, False)
    for name, board in BOARDS.items()
    for each in variables(board)
]

every_query = pytest.mark.parametrize(
    "query",
    [*DASHBOARD_QUERIES, *VARIABLE_QUERIES, *RULE_QUERIES],
    ids=lambda query: query.where.replace(" ", "-"),
)
every_panel = pytest.mark.parametrize(
    "panel",
    [
        pytest.param(panel, id=f"{name}-{panel['title']}".replace(" ", "-"))
        for name, board in BOARDS.items()
        for panel in panels(board)
    ],
)
every_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())


def test_dashboards_have_names_of_their_own() -> None:
    assert sorted(BOARDS) == ["carve-out", "routes", "transactions"]
    assert {board["uid"] for board in BOARDS.values()} == {f"strangler-{name}" for name in BOARDS}
    assert len({board["title"] for board in BOARDS.values()}) == 3


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


@every_board
def test_a_dashboard_query_uses_variables_that_exist(board: dict[str, Any]) -> None:
    known = {variable["name"]: "x" for variable in board["templating"]["list"]}
    known |= {"__rate_interval": "1m", "__range": "15m"}

    assert [query.where for query in queries(board) if "$" in substitute(query.expr, known)] == []


@pytest.mark.parametrize(
    ("board", "name"),
    [
        ("routes", "listener"),
        ("routes", "rule"),
        ("routes", "target_group"),
        ("transactions", "transaction"),
        ("transactions", "target_group"),
        ("carve-out", "transaction"),
    ],
)
def test_a_dashboard_can_be_narrowed_to(board: str, name: str) -> None:
    (variable,) = [each for each in BOARDS[board]["templating"]["list"] if each["name"] == name]

    assert (variable["multi"], variable["includeAll"], variable["allValue"]) == (True, True, ".*")
    assert any(f"${name}" in query.expr for query in queries(BOARDS[board]))


def test_the_carve_out_is_seen_from_one_monolith() -> None:
    (variable,) = [each for each in BOARDS["carve-out"]["templating"]["list"] if each["name"] == "monolith"]

    assert (variable["multi"], variable["includeAll"]) == (False, False)


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
    assert any(series in series_names(query.expr) for query in ROUTE_QUERIES)


@every_panel
def test_a_panel_says_what_it_shows_and_where_from(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


@every_board
def test_panels_have_their_own_ids_and_places(board: dict[str, Any]) -> None:
    ids = Counter(panel["id"] for panel in board["panels"])
    overlapping = [
        (a["title"], b["title"]) for a, b in combinations(board["panels"], 2) if _overlap(a["gridPos"], b["gridPos"])
    ]

    assert max(ids.values()) == 1
    assert overlapping == []
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in board["panels"])


def _overlap(a: dict[str, int], b: dict[str, int]) -> bool:
    return (
        a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]
    )


@every_board
def test_reloads_good_and_refused_are_marks_at_their_time(board: dict[str, Any]) -> None:
    marks = board["annotations"]["list"]

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


@every_board
def test_the_default_data_source_is_the_one_that_a_dashboard_begins_with(board: dict[str, Any]) -> None:
    (source,) = yaml.safe_load((OBSERVABILITY / "grafana/provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    (variable,) = [each for each in board["templating"]["list"] if each["name"] == "datasource"]

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
