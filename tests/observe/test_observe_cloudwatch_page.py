"""docs/cloudwatch-metrics.md: every CloudWatch metric is there, and every query returns what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from observe_records import forwarded, refused

from proxy.observe.families import FAMILIES
from proxy.observe.live import LiveState
from proxy.observe.metrics import Metrics
from proxy.observe.record import RequestRecord

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "cloudwatch-metrics.md").read_text()

sys.path.insert(0, str(REPOSITORY / "tests" / "observability"))
from dashboard_queries import grouping_labels, labels_by_series, series_names  # noqa: E402

CLOUDWATCH = """
RequestCount ActiveConnectionCount NewConnectionCount RejectedConnectionCount ProcessedBytes IPv6ProcessedBytes
IPv6RequestCount ClientTLSNegotiationErrorCount HTTPCode_ELB_3XX_Count HTTPCode_ELB_4XX_Count HTTPCode_ELB_5XX_Count
HTTPCode_ELB_500_Count HTTPCode_ELB_502_Count HTTPCode_ELB_503_Count HTTPCode_ELB_504_Count
HTTP_Fixed_Response_Count HTTP_Redirect_Count HTTP_Redirect_Url_Limit_Exceeded_Count RuleEvaluations
DesyncMitigationMode_NonCompliant_Request_Count DroppedInvalidHeaderRequestCount ForwardedInvalidHeaderRequestCount
GrpcRequestCount NonStickyRequestCount AppCookieNonStickinessCount LowReputationPacketsDropped
LowReputationRequestsDenied ExcessiveLowReputationPackets ConsumedLCUs PeakLCUs ReservedLCUs CapacityUtilization
BYoIPUtilPercentage HTTPCode_Target_2XX_Count HTTPCode_Target_3XX_Count HTTPCode_Target_4XX_Count
HTTPCode_Target_5XX_Count TargetResponseTime TargetConnectionErrorCount TargetTLSNegotiationErrorCount
RequestCountPerTarget HealthyHostCount UnHealthyHostCount AnomalousHostCount MitigatedHostCount HealthyStateDNS
HealthyStateRouting UnhealthyStateDNS UnhealthyStateRouting UnhealthyRoutingRequestCount ActiveZonalShiftHostCount
LambdaInternalError LambdaUserError LambdaTargetProcessedBytes ELBAuthError ELBAuthFailure ELBAuthLatency
ELBAuthRefreshTokenSuccess ELBAuthSuccess ELBAuthUserClaimsSizeExceeded TargetControlRequestCount
TargetControlRequestRejectCount TargetControlActiveChannelCount TargetControlNewChannelCount
TargetControlChannelErrorCount TargetControlWorkQueueLength TargetControlProcessedBytes
"""
"""alb.md 10."""

QUERIES = {
    name: expression.strip()
    for block in re.findall(r"```promql\n(.*?)```", PAGE, re.DOTALL)
    for name, expression in re.findall(r"^# (.+)\n((?:(?!# ).*\n?)+)", block, re.MULTILINE)
}
WITHOUT = [
    name for names in re.findall(r"^\| ([A-Z][^|]*) \|", PAGE, re.MULTILINE) for name in names.strip().split(", ")
]
SERIES = {
    family.name + suffix: {*family.labels, "le"} if suffix == "_bucket" else set(family.labels)
    for family in FAMILIES
    for suffix in (("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",))
}

every_query = pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)


def test_the_page_has_every_metric_once() -> None:
    mapped = {name.removesuffix(" (TargetGroup)") for name in QUERIES}

    assert mapped | set(WITHOUT) == set(CLOUDWATCH.split())
    assert mapped & set(WITHOUT) == set()
    assert len(WITHOUT) == len(set(WITHOUT))


@every_query
def test_a_query_uses_metrics_and_labels_that_exist(query: str) -> None:
    names = series_names(query)

    assert names
    assert names <= SERIES.keys()
    assert [(series, label) for series, label in labels_by_series(query) if label not in SERIES[series]] == []
    assert grouping_labels(query) <= set().union(*(SERIES[name] for name in names))


def traffic() -> list[tuple[int, RequestRecord]]:
    """How many of which request; each kind another number, so that no query can count the wrong one."""
    nobody: dict[str, Any] = {"target_group": "", "target_id": "", "target_status": 0, "head_at": 0.0}
    of_function: dict[str, Any] = {"target_id": "resize"}
    failed: dict[str, Any] = {"target_status": 0, "head_at": 0.0}
    return [
        (100, forwarded(rule="a")),
        (1, forwarded(rule="a", status=304, target_status=304)),
        (2, forwarded(rule="b", status=404, target_status=404)),
        (3, forwarded(rule="b", status=502, target_status=502)),
        (5, forwarded(rule="default", status=502, reason="Target.ConnectionRefused", **failed)),
        (7, forwarded(rule="default", status=504, reason="Target.Timeout", **failed)),
        (11, forwarded(rule="default", status=503, reason="Target.None", target_id="", **failed)),
        (13, forwarded(rule="default", status=460, reason="Client.Closed", **failed)),
        (17, forwarded(rule="a", status=301, **nobody)),
        (19, forwarded(rule="a", status=403, **nobody)),
        (23, forwarded(rule="a", status=503, **nobody)),
        (29, forwarded(rule="a", status=507, reason="Redirect.TooLong", **nobody)),
        (31, forwarded(rule="a", status=500, reason="Gateway.InternalError", **nobody)),
        (41, forwarded(rule="a", **of_function)),
        (43, forwarded(rule="a", status=502, reason="LambdaUnhandled", **of_function, **failed)),
        (47, forwarded(rule="a", status=502, reason="LambdaServiceException", **of_function, **failed)),
        (37, refused(request_bytes=0, response_bytes=0)),
    ]


FUNCTION = 41 + 43 + 47
FORWARDED = 100 + 1 + 2 + 3 + 5 + 7 + 13
OF_RULE_A = FUNCTION + 100 + 1 + 17 + 19 + 23 + 29 + 31
EXPECTED = {
    "RequestCount": FORWARDED + FUNCTION,
    "RequestCount (TargetGroup)": FORWARDED + FUNCTION,
    "RequestCountPerTarget (TargetGroup)": (FORWARDED + FUNCTION) / 2,
    "ActiveConnectionCount": 40 + 50,
    "NewConnectionCount": 60 + 3,
    "ProcessedBytes": (sum(count for count, _ in traffic()) - 37) * 800,
    "RuleEvaluations": OF_RULE_A + 2 * (2 + 3) + 2 * (5 + 7 + 11 + 13),
    "HTTPCode_Target_2XX_Count": 100 + 41,
    "HTTPCode_Target_3XX_Count": 1,
    "HTTPCode_Target_4XX_Count": 2,
    "HTTPCode_Target_5XX_Count": 3,
    "HTTPCode_Target_5XX_Count (TargetGroup)": 3,
    "HTTPCode_ELB_3XX_Count": 17,
    "HTTPCode_ELB_4XX_Count": 13 + 37 + 19,
    "HTTPCode_ELB_5XX_Count": 43 + 47 + 5 + 7 + 11 + 29 + 31 + 23,
    "HTTPCode_ELB_500_Count": 31,
    "HTTPCode_ELB_502_Count": 5 + 43 + 47,
    "HTTPCode_ELB_503_Count": 11 + 23,
    "HTTPCode_ELB_504_Count": 7,
    "HTTP_Fixed_Response_Count": 19 + 23,
    "HTTP_Redirect_Count": 17,
    "HTTP_Redirect_Url_Limit_Exceeded_Count": 29,
    "DesyncMitigationMode_NonCompliant_Request_Count": 2 + 3,
    "DroppedInvalidHeaderRequestCount": 4,
    "ForwardedInvalidHeaderRequestCount": 6,
    "TargetResponseTime": 0.02,
    "TargetResponseTime (TargetGroup)": 0.02,
    "TargetConnectionErrorCount (TargetGroup)": 2 + 1,
    "ClientTLSNegotiationErrorCount": 6,
    "TargetTLSNegotiationErrorCount (TargetGroup)": 4,
    "HealthyHostCount (TargetGroup)": 2,
    "UnHealthyHostCount (TargetGroup)": 3,
    "HealthyStateRouting (TargetGroup)": 0,
    "UnhealthyStateRouting (TargetGroup)": 1,
    "UnhealthyRoutingRequestCount (TargetGroup)": 8,
    "AnomalousHostCount (TargetGroup)": 5,
    "MitigatedHostCount (TargetGroup)": 2,
    "NonStickyRequestCount": 4 + 3,
    "AppCookieNonStickinessCount": 3,
    "LambdaInternalError (TargetGroup)": 47,
    "LambdaUserError (TargetGroup)": 43,
    "LambdaTargetProcessedBytes": (FORWARDED + 11 + FUNCTION) * 800,
    "ELBAuthSuccess": 3,
    "ELBAuthFailure": 5,
    "ELBAuthError": 4,
    "ELBAuthUserClaimsSizeExceeded": 2,
    "ELBAuthRefreshTokenSuccess": 6,
    "ELBAuthLatency": 250,
}


@pytest.mark.system
def test_every_query_returns_what_the_metric_means(tmp_path: Path) -> None:
    """Prometheus itself evaluates them, on series that grow by one minute's traffic every 20 s."""
    assert QUERIES.keys() == EXPECTED.keys()
    tested = {
        "rule_files": [],
        "evaluation_interval": "20s",
        "tests": [
            {
                "interval": "20s",
                "input_series": list(_series_of_a_minute()),
                "promql_expr_test": [
                    # Rounded, since the extrapolation to the minute's edges may leave a last digit.
                    {
                        "expr": f"round({expression}, 0.0001)",
                        "eval_time": "10m",
                        "exp_samples": [{"labels": _labels(name), "value": EXPECTED[name] * _growth(name)}],
                    }
                    for name, expression in QUERIES.items()
                ],
            }
        ],
    }
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump(tested))

    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr


def _labels(name: str) -> str:
    return '{target_group="users"}' if name.endswith("(TargetGroup)") else "{}"


def _growth(name: str) -> int:
    """How much of the traffic one minute has: three times 20 s; levels and averages stay as they are."""
    levels = (
        "Active",
        "TargetResponseTime",
        "ELBAuthLatency",
        "Healthy",
        "UnHealthyHost",
        "UnhealthyState",
        "Anomalous",
        "Mitigated",
    )
    return 1 if name.startswith(levels) else 3


def _series_of_a_minute() -> list[dict[str, str]]:
    metrics = Metrics()
    metrics.serving([("web", "a"), ("web", "b"), ("web", "default")])
    for count, record in traffic():
        for _ in range(count):
            metrics.series(record.listener, record.rule, record.target_group).record(record)
    for result, count in (("success", 3), ("refused", 2), ("timeout", 1), ("tls", 4)):
        for _ in range(count):
            metrics.target_connection("users", result)  # type: ignore[arg-type]
    for reason, count in (("SpaceInUri", 2), ("NonCompliantVersion", 3)):
        for _ in range(count):
            metrics.noncompliant("web", "Acceptable", reason)
    for _ in range(4):
        metrics.invalid_header("web", "dropped")
    for _ in range(6):
        metrics.invalid_header("web", "forwarded")
    for _ in range(6):
        metrics.tls_negotiation_failed("web")
    logins = metrics.authentication("authenticate-oidc")
    logins.succeeded, logins.refreshed, logins.too_large = 3, 6, 2
    logins.failures, logins.errors = {"AuthInvalidIdToken": 2, "Auth.Denied": 3}, {"AuthTokenEpRequestFailed": 4}
    for seconds in (0.1, 0.4):
        logins.took(seconds)
    snapshot = metrics.snapshot(
        LiveState(
            client_connections=(40, 60),
            target_connections={"users": 50},
            target_states={("users", "healthy"): 2, ("users", "unhealthy"): 3, ("users", "draining"): 1},
            target_types={"users": "lambda"},
            fail_open={"users": True},
            unhealthy_routing_requests={"users": 8},
            anomalies={"users": (5, 2)},
            nonsticky_requests={("users", "lb_cookie"): 4, ("carts", "app_cookie"): 3},
        )
    )
    series = []
    for family in FAMILIES:
        for sample in snapshot["values"].get(family.name, ()):
            value = sample["value"]
            values = f"0+{value:g}x30" if family.kind == "counter" else f"{value:g}x30"
            series.append(_series(family.name, family.labels, sample["labels"], values))
        for distribution in snapshot["distributions"].get(family.name, ()):
            labels = distribution["labels"]
            total, count = distribution["sum"], sum(distribution["counts"])
            series.append(_series(f"{family.name}_sum", family.labels, labels, f"0+{total:.9f}x30"))
            series.append(_series(f"{family.name}_count", family.labels, labels, f"0+{count}x30"))
    return series


def _series(name: str, labels: tuple[str, ...], values: list[str], numbers: str) -> dict[str, str]:
    pairs = ", ".join(f'{label}="{value}"' for label, value in zip(labels, values, strict=True))
    return {"series": f"{name}{{{pairs}}}", "values": numbers}
