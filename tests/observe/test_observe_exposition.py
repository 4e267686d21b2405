"""The scrape, read back by the parsers that Prometheus' own library brings."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from observe_records import forwarded, refused
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from proxy.carveout.naming import given_templates
from proxy.carveout.transactions import Transactions
from proxy.config.model import ConditionConfig, ForwardConfig, ListenerConfig, RuleConfig, TransactionsConfig
from proxy.config.transaction_patterns import parse_pattern
from proxy.errors import ClaimsTooLargeError, LoginError, LoginFailedError, TokenRejectedError
from proxy.observe.exposition import render
from proxy.observe.live import LiveState, ReloadState
from proxy.observe.metrics import Metrics
from proxy.observe.snapshot import Snapshot, empty, merge
from proxy.rules.request import RequestView

CONTRACT = {
    "strangler_requests_total": ("counter", {"listener", "rule", "target_group", "method", "code"}),
    "strangler_request_duration_seconds": ("histogram", {"listener", "rule", "target_group"}),
    "strangler_target_response_duration_seconds": ("histogram", {"rule", "target_group"}),
    "strangler_request_bytes_total": ("counter", {"rule", "target_group"}),
    "strangler_response_bytes_total": ("counter", {"rule", "target_group"}),
    "strangler_in_flight_requests": ("gauge", {"target_group"}),
    "strangler_overhead_seconds": ("histogram", {"listener"}),
    "strangler_target_healthy": ("gauge", {"target_group", "target"}),
    "strangler_elb_errors_total": ("counter", {"code", "reason"}),
    "strangler_lambda_errors_total": ("counter", {"target_group", "reason"}),
    "strangler_target_group_info": ("gauge", {"target_group", "target_type"}),
    "strangler_rule_last_hit_timestamp_seconds": ("gauge", {"listener", "rule"}),
    "strangler_rule_sampled_requests_total": ("counter", {"listener", "rule"}),
    "strangler_condition_sampled_matches_total": ("counter", {"listener", "rule", "field", "value"}),
    "strangler_condition_last_match_timestamp_seconds": ("gauge", {"listener", "rule", "field", "value"}),
    "strangler_rule_weight": ("gauge", {"listener", "rule", "target_group"}),
    "strangler_config_last_reload_successful": ("gauge", set()),
    "strangler_config_last_reload_timestamp_seconds": ("gauge", set()),
    "strangler_config_reloads_total": ("counter", {"result"}),
    "strangler_access_log_dropped_total": ("counter", set()),
    "strangler_cut_responses_total": ("counter", {"rule", "target_group", "reason"}),
    "strangler_target_responses_total": ("counter", {"listener", "rule", "target_group", "code"}),
    "strangler_routed_requests_total": ("counter", {"listener", "rule", "target_group"}),
    "strangler_fixed_responses_total": ("counter", {"listener", "rule", "code"}),
    "strangler_rule_evaluations_total": ("counter", {"listener"}),
    "strangler_client_connections_opened_total": ("counter", set()),
    "strangler_client_connections": ("gauge", set()),
    "strangler_client_tls_negotiation_errors_total": ("counter", {"listener"}),
    "strangler_target_connections_opened_total": ("counter", {"target_group", "result"}),
    "strangler_target_connections": ("gauge", {"target_group"}),
    "strangler_targets": ("gauge", {"target_group", "state"}),
    "strangler_target_group_fail_open": ("gauge", {"target_group"}),
    "strangler_unhealthy_routing_requests_total": ("counter", {"target_group"}),
    "strangler_anomalous_targets": ("gauge", {"target_group"}),
    "strangler_mitigated_targets": ("gauge", {"target_group"}),
    "strangler_nonsticky_requests_total": ("counter", {"target_group", "type"}),
    "strangler_connection_log_dropped_total": ("counter", set()),
    "strangler_spans_dropped_total": ("counter", set()),
    "strangler_auth_success_total": ("counter", {"action"}),
    "strangler_auth_failure_total": ("counter", {"action", "reason"}),
    "strangler_auth_error_total": ("counter", {"action", "reason"}),
    "strangler_auth_refresh_success_total": ("counter", {"action"}),
    "strangler_auth_claims_size_exceeded_total": ("counter", {"action"}),
    "strangler_auth_duration_seconds": ("histogram", {"action"}),
    "strangler_jwt_validation_failures_total": ("counter", {"reason"}),
    "strangler_desync_noncompliant_requests_total": ("counter", {"listener", "classification", "reason"}),
    "strangler_invalid_header_requests_total": ("counter", {"listener", "result"}),
    "strangler_transaction_requests_total": ("counter", {"transaction", "target_group", "code"}),
    "strangler_transaction_duration_seconds": ("histogram", {"transaction", "target_group"}),
    "strangler_transaction_names": ("gauge", {"source"}),
    "strangler_transaction_overflow_names": ("gauge", set()),
    "strangler_build_info": ("gauge", {"version", "python"}),
}

DURATIONS = "0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 30 60"
BUCKETS = {
    "strangler_request_duration_seconds": DURATIONS,
    "strangler_target_response_duration_seconds": DURATIONS,
    "strangler_auth_duration_seconds": DURATIONS,
    "strangler_transaction_duration_seconds": DURATIONS,
    "strangler_overhead_seconds": "0.00005 0.0001 0.00025 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05",
}


@pytest.fixture
def snapshot() -> Snapshot:
    metrics = Metrics()
    metrics.serving([("web", "users"), ("web", "default")])
    condition = ConditionConfig("path-pattern", ("/users/*",))
    rule = RuleConfig("users", 10, (condition,), ForwardConfig((("users", 1),)))
    metrics.condition_samples.serving([ListenerConfig("web", 80, ForwardConfig((("users", 1),)), (rule,))])
    metrics.condition_samples.count([("web", "users", RequestView.of("GET", "/users/1", []), 1_700_000_000.0)])
    metrics.target_connection("users", "success")
    metrics.noncompliant("web", "Acceptable", "SpaceInUri")
    metrics.invalid_header("web", "dropped")
    metrics.tls_negotiation_failed("web")
    logins = metrics.authentication("authenticate-oidc")
    logins.succeeded = logins.refreshed = 1
    logins.took(0.2)
    for error in (
        LoginFailedError("AuthInvalidIdToken", ""),
        LoginError("AuthTokenEpRequestTimeout", ""),
        ClaimsTooLargeError("AuthUserinfoResponseSizeExceeded", ""),
    ):
        logins.failed(error)
    metrics.authentication("jwt-validation").failed(TokenRejectedError("JWTHeaderNotPresent", ""))
    fixed = forwarded(rule="closed", target_group="", target_id="", target_status=0, head_at=0.0, status=403)
    failed = forwarded(rule="resize", reason="LambdaUnhandled", target_status=0, head_at=0.0, status=502)
    for record in (forwarded(), refused(), forwarded(reason="Target.ConnectionClosed"), fixed, failed):
        metrics.series(record.listener, record.rule, record.target_group).record(record)
    transactions = Transactions(TransactionsConfig())
    transactions.namer.give(given_templates([parse_pattern("GET /api/users")]))
    transactions.demand.note(forwarded())
    own = metrics.snapshot(
        LiveState(
            groups={"users": [("10.0.0.1:8000", True, 1)]},
            weights={("web", "users", "users"): 10},
            reload=ReloadState(successful=True, timestamp=1_700_000_000.5, counts={"success": 1}),
            target_connections={"users": 1},
            target_states={("users", "healthy"): 1},
            target_types={"users": "lambda"},
            fail_open={"users": False},
            unhealthy_routing_requests={"users": 2},
            anomalies={"users": (1, 0)},
            nonsticky_requests={("users", "lb_cookie"): 3},
        )
    )
    return merge([own, transactions.snapshot()])


def scrape(snapshot: Snapshot, openmetrics: bool) -> dict[str, Metric]:
    """Families by the contract's name: the parsers take `_total` off a counter's."""
    body, _ = render(snapshot, openmetrics=openmetrics)
    parse = parse_openmetrics if openmetrics else parse_text
    parsed: Iterable[Metric] = parse(body.decode())
    return {f"{metric.name}_total" if metric.type == "counter" else metric.name: metric for metric in parsed}


FORMATS = pytest.mark.parametrize("openmetrics", [pytest.param(False, id="text"), pytest.param(True, id="OpenMetrics")])


@FORMATS
def test_names_types_and_labels_are_those_of_the_contract(snapshot: Snapshot, openmetrics: bool) -> None:
    scraped = {
        name: (metric.type, {label for sample in metric.samples for label in sample.labels} - {"le"})
        for name, metric in scrape(snapshot, openmetrics).items()
        if name.startswith("strangler_")
    }

    assert scraped == CONTRACT


@FORMATS
@pytest.mark.parametrize("name", BUCKETS)
def test_buckets_are_those_of_the_contract(snapshot: Snapshot, openmetrics: bool, name: str) -> None:
    buckets = [sample for sample in scrape(snapshot, openmetrics)[name].samples if sample.name.endswith("_bucket")]
    one = [float(sample.labels["le"]) for sample in buckets if sample.labels.get("rule", "users") == "users"]
    listeners = {sample.labels.get("listener") for sample in buckets}

    assert len(listeners) == 1
    assert one == [*map(float, BUCKETS[name].split()), float("inf")]


@FORMATS
def test_a_histogram_ends_at_its_count(snapshot: Snapshot, openmetrics: bool) -> None:
    samples = {
        (sample.name.rpartition("_")[2], sample.labels.get("le")): sample.value
        for sample in scrape(snapshot, openmetrics)["strangler_request_duration_seconds"].samples
        if sample.labels["rule"] == "users"
    }

    assert samples["bucket", "0.01"] == 0
    assert samples["bucket", "0.025"] == samples["bucket", "+Inf"] == samples["count", None] == 2
    assert pytest.approx(0.044) == samples["sum", None]


@FORMATS
def test_the_process_is_in_the_scrape(snapshot: Snapshot, openmetrics: bool) -> None:
    scraped = scrape(snapshot, openmetrics)

    assert {
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
    } <= scraped.keys()
    assert "python_info" in scraped


@FORMATS
def test_a_name_with_quotes_and_line_ends_is_escaped(openmetrics: bool) -> None:
    name = 'a "quoted"\\name\nwith a line end'
    metrics = Metrics()
    metrics.series("web", name, "").record(forwarded(rule=name, target_group=""))

    scraped = scrape(metrics.snapshot(LiveState()), openmetrics)
    assert [name] == [sample.labels["rule"] for sample in scraped["strangler_requests_total"].samples]


def test_a_timestamp_keeps_its_fraction(snapshot: Snapshot) -> None:
    (sample,) = scrape(snapshot, False)["strangler_config_last_reload_timestamp_seconds"].samples

    assert sample.value == 1_700_000_000.5


@FORMATS
def test_nothing_counted_yet_is_a_valid_scrape(openmetrics: bool) -> None:
    assert "strangler_requests_total" in scrape(empty(), openmetrics)


def test_content_types() -> None:
    assert render(empty(), openmetrics=False)[1].startswith("text/plain; version=0.0.4")
    assert render(empty(), openmetrics=True)[1].startswith("application/openmetrics-text; version=1.0.0")
