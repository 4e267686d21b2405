"""Every metric by name, with its type, its labels, and how the workers' values become one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

DURATION_BUCKETS: Final[tuple[float, ...]] = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    7.5,
    10.0,
    30.0,
    60.0,
)
OVERHEAD_BUCKETS: Final[tuple[float, ...]] = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05)

METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"))
"""RFC 9110 9 and RFC 5789. Any other is counted as OTHER, since a client may invent as many as it likes."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric.

    Attributes:
        name: As scraped; a counter's ends in `_total`.
        merge: How the values of several workers become one. Counters and histograms are sums.
        outlives: Whether the value still counts after its worker has ended; True where going back is wrong.
        buckets: Upper bounds of a histogram, without +Inf.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    merge: Literal["sum", "max", "min"] = "sum"
    outlives: bool = True
    buckets: tuple[float, ...] = ()


REQUESTS = Family(
    "strangler_requests_total",
    "counter",
    ("listener", "rule", "target_group", "method", "code"),
    "Requests by the status that the client got; rule is empty when the request never reached the rules.",
)
REQUEST_DURATION = Family(
    "strangler_request_duration_seconds",
    "histogram",
    ("listener", "rule", "target_group"),
    "From request received until response sent; a tunnel counts until its 101.",
    buckets=DURATION_BUCKETS,
)
TARGET_RESPONSE_DURATION = Family(
    "strangler_target_response_duration_seconds",
    "histogram",
    ("rule", "target_group"),
    "From request sent until the target's response headers start.",
    buckets=DURATION_BUCKETS,
)
REQUEST_BYTES = Family(
    "strangler_request_bytes_total",
    "counter",
    ("rule", "target_group"),
    "Bytes received from clients, headers included.",
)
RESPONSE_BYTES = Family(
    "strangler_response_bytes_total",
    "counter",
    ("rule", "target_group"),
    "Bytes sent to clients, headers included.",
)
IN_FLIGHT = Family(
    "strangler_in_flight_requests",
    "gauge",
    ("target_group",),
    "Requests sent to a target and not yet ended.",
    outlives=False,
)
OVERHEAD = Family(
    "strangler_overhead_seconds",
    "histogram",
    ("listener",),
    "What the gateway itself added to a request.",
    buckets=OVERHEAD_BUCKETS,
)
TARGET_HEALTHY = Family(
    "strangler_target_healthy",
    "gauge",
    ("target_group", "target"),
    "1 when every worker finds the target healthy.",
    merge="min",
    outlives=False,
)
ELB_ERRORS = Family(
    "strangler_elb_errors_total",
    "counter",
    ("code", "reason"),
    "Responses that the gateway made itself because a request could not be served.",
)
LAMBDA_ERRORS = Family(
    "strangler_lambda_errors_total",
    "counter",
    ("target_group", "reason"),
    "Requests that a function did not answer, by the access log's word for it.",
)
CUT_RESPONSES = Family(
    "strangler_cut_responses_total",
    "counter",
    ("rule", "target_group", "reason"),
    "Responses of a target that began and could not be completed.",
)
TARGET_RESPONSES = Family(
    "strangler_target_responses_total",
    "counter",
    ("listener", "rule", "target_group", "code"),
    "Requests that a target answered itself, by its status.",
)
ROUTED_REQUESTS = Family(
    "strangler_routed_requests_total",
    "counter",
    ("listener", "rule", "target_group"),
    "Requests for which a target could be chosen, whatever became of them.",
)
FIXED_RESPONSES = Family(
    "strangler_fixed_responses_total",
    "counter",
    ("listener", "rule", "code"),
    "Requests answered by a fixed-response action.",
)
RULE_EVALUATIONS = Family(
    "strangler_rule_evaluations_total",
    "counter",
    ("listener",),
    "Rules tried in order of priority until one matched, the default rule not counted.",
)
CLIENT_CONNECTIONS_OPENED = Family(
    "strangler_client_connections_opened_total",
    "counter",
    (),
    "Connections that clients opened.",
)
CLIENT_CONNECTIONS = Family(
    "strangler_client_connections",
    "gauge",
    (),
    "Open connections from clients.",
    outlives=False,
)
CLIENT_TLS_ERRORS = Family(
    "strangler_client_tls_negotiation_errors_total",
    "counter",
    ("listener",),
    "TLS handshakes with clients that failed: versions, ciphers or certificates that do not fit, or no TLS at all.",
)
TARGET_CONNECTIONS_OPENED = Family(
    "strangler_target_connections_opened_total",
    "counter",
    ("target_group", "result"),
    "Attempts to connect to a target for a request: success, refused, timeout or tls.",
)
TARGET_CONNECTIONS = Family(
    "strangler_target_connections",
    "gauge",
    ("target_group",),
    "Open connections to targets, idle ones among them.",
    outlives=False,
)
TARGETS = Family(
    "strangler_targets",
    "gauge",
    ("target_group", "state"),
    "Targets by their state of health.",
    merge="max",
    outlives=False,
)
TARGET_GROUP_INFO = Family(
    "strangler_target_group_info",
    "gauge",
    ("target_group", "target_type"),
    "Always 1; what the targets of the group are.",
    merge="max",
    outlives=False,
)
FAIL_OPEN = Family(
    "strangler_target_group_fail_open",
    "gauge",
    ("target_group",),
    "1 while the group sends to targets that are not healthy, for want of healthy ones.",
    merge="max",
    outlives=False,
)
UNHEALTHY_ROUTING_REQUESTS = Family(
    "strangler_unhealthy_routing_requests_total",
    "counter",
    ("target_group",),
    "Requests sent while the group failed open, for want of healthy targets.",
)
NONSTICKY_REQUESTS = Family(
    "strangler_nonsticky_requests_total",
    "counter",
    ("target_group", "type"),
    "Requests to a group with stickiness for which a new target was chosen, for want of a cookie that holds.",
)
ANOMALOUS_TARGETS = Family(
    "strangler_anomalous_targets",
    "gauge",
    ("target_group",),
    "Targets that fail more often than their peers.",
    merge="max",
    outlives=False,
)
MITIGATED_TARGETS = Family(
    "strangler_mitigated_targets",
    "gauge",
    ("target_group",),
    "Targets that get less than their share because they are or were anomalous.",
    merge="max",
    outlives=False,
)
AUTH_SUCCESS = Family(
    "strangler_auth_success_total",
    "counter",
    ("action",),
    "Logins that were completed.",
)
AUTH_FAILURE = Family(
    "strangler_auth_failure_total",
    "counter",
    ("action", "reason"),
    "Logins that could not be completed by the user's, the browser's or the identity provider's word.",
)
AUTH_ERROR = Family(
    "strangler_auth_error_total",
    "counter",
    ("action", "reason"),
    "Logins and refreshes that failed because the identity provider was out of reach, slow, or answered an error.",
)
AUTH_REFRESH_SUCCESS = Family(
    "strangler_auth_refresh_success_total",
    "counter",
    ("action",),
    "Claims that were refreshed with a refresh token.",
)
AUTH_CLAIMS_SIZE_EXCEEDED = Family(
    "strangler_auth_claims_size_exceeded_total",
    "counter",
    ("action",),
    "Logins whose access token and claims were over 11 K.",
)
AUTH_DURATION = Family(
    "strangler_auth_duration_seconds",
    "histogram",
    ("action",),
    "How long the identity provider took for tokens and user info of a login.",
    buckets=DURATION_BUCKETS,
)
JWT_FAILURES = Family(
    "strangler_jwt_validation_failures_total",
    "counter",
    ("reason",),
    "Requests that jwt-validation refused.",
)
RULE_LAST_HIT = Family(
    "strangler_rule_last_hit_timestamp_seconds",
    "gauge",
    ("listener", "rule"),
    "When a request last matched the rule, 0 for never.",
    merge="max",
)
RULE_SAMPLES = Family(
    "strangler_rule_sampled_requests_total",
    "counter",
    ("listener", "rule"),
    "Requests of the rule that were looked at for the condition values that took them; up to 50 a second of all.",
)
CONDITION_MATCHES = Family(
    "strangler_condition_sampled_matches_total",
    "counter",
    ("listener", "rule", "field", "value"),
    "Of these, those that the value took; a value of a serving rule that is absent took none.",
)
CONDITION_LAST_MATCH = Family(
    "strangler_condition_last_match_timestamp_seconds",
    "gauge",
    ("listener", "rule", "field", "value"),
    "When the value last took one of these.",
    merge="max",
)
RULE_WEIGHT = Family(
    "strangler_rule_weight",
    "gauge",
    ("listener", "rule", "target_group"),
    "Weight of the target group in the rule, 0 to 999.",
    merge="max",
    outlives=False,
)
RELOAD_SUCCESSFUL = Family(
    "strangler_config_last_reload_successful",
    "gauge",
    (),
    "1 when the last load of routes.yaml was good in every worker.",
    merge="min",
    outlives=False,
)
RELOAD_TIMESTAMP = Family(
    "strangler_config_last_reload_timestamp_seconds",
    "gauge",
    (),
    "When routes.yaml was last loaded, whether it was good or not.",
    merge="max",
)
RELOADS = Family(
    "strangler_config_reloads_total",
    "counter",
    ("result",),
    "Loads of routes.yaml, each worker's own.",
)
CONNECTION_LOG_DROPPED = Family(
    "strangler_connection_log_dropped_total",
    "counter",
    (),
    "Connection-log lines dropped because the disk could not keep up.",
)
LOG_DROPPED = Family(
    "strangler_access_log_dropped_total",
    "counter",
    (),
    "Access-log lines dropped because the disk could not keep up.",
)
SPANS_DROPPED = Family(
    "strangler_spans_dropped_total",
    "counter",
    (),
    "Spans that did not reach the collector: it took too long, refused them, or was not there.",
)
DESYNC_NONCOMPLIANT = Family(
    "strangler_desync_noncompliant_requests_total",
    "counter",
    ("listener", "classification", "reason"),
    "Requests that desync mitigation did not find Compliant, passed or not.",
)
INVALID_HEADERS = Family(
    "strangler_invalid_header_requests_total",
    "counter",
    ("listener", "result"),
    "Requests with a header name outside letters, digits and hyphens: forwarded with it or without it (dropped).",
)
TRANSACTION_REQUESTS = Family(
    "strangler_transaction_requests_total",
    "counter",
    ("transaction", "target_group", "code"),
    "Requests that a target group got, by the transaction's bounded name and the class of the status (2xx).",
)
TRANSACTION_DURATION = Family(
    "strangler_transaction_duration_seconds",
    "histogram",
    ("transaction", "target_group"),
    "From the request sent to the target until its response was complete, slow clients and streams left out.",
    buckets=DURATION_BUCKETS,
)
TRANSACTION_NAMES = Family(
    "strangler_transaction_names",
    "gauge",
    ("source",),
    "Names of transactions there are: learned, pinned in routes.yaml, or from an OpenAPI document.",
    merge="max",
    outlives=False,
)
TRANSACTION_OVERFLOW = Family(
    "strangler_transaction_overflow_names",
    "gauge",
    (),
    "Learned names over the limit; their requests are counted as {other}.",
    merge="max",
    outlives=False,
)
BUILD_INFO = Family(
    "strangler_build_info",
    "gauge",
    ("version", "python"),
    "Always 1; what is running.",
    merge="max",
    outlives=False,
)

FAMILIES = (
    REQUESTS,
    REQUEST_DURATION,
    TARGET_RESPONSE_DURATION,
    REQUEST_BYTES,
    RESPONSE_BYTES,
    IN_FLIGHT,
    OVERHEAD,
    TARGET_HEALTHY,
    ELB_ERRORS,
    LAMBDA_ERRORS,
    CUT_RESPONSES,
    TARGET_RESPONSES,
    ROUTED_REQUESTS,
    FIXED_RESPONSES,
    RULE_EVALUATIONS,
    CLIENT_CONNECTIONS_OPENED,
    CLIENT_CONNECTIONS,
    CLIENT_TLS_ERRORS,
    TARGET_CONNECTIONS_OPENED,
    TARGET_CONNECTIONS,
    TARGETS,
    TARGET_GROUP_INFO,
    FAIL_OPEN,
    UNHEALTHY_ROUTING_REQUESTS,
    NONSTICKY_REQUESTS,
    ANOMALOUS_TARGETS,
    MITIGATED_TARGETS,
    AUTH_SUCCESS,
    AUTH_FAILURE,
    AUTH_ERROR,
    AUTH_REFRESH_SUCCESS,
    AUTH_CLAIMS_SIZE_EXCEEDED,
    AUTH_DURATION,
    JWT_FAILURES,
    RULE_LAST_HIT,
    RULE_SAMPLES,
    CONDITION_MATCHES,
    CONDITION_LAST_MATCH,
    RULE_WEIGHT,
    RELOAD_SUCCESSFUL,
    RELOAD_TIMESTAMP,
    RELOADS,
    LOG_DROPPED,
    CONNECTION_LOG_DROPPED,
    SPANS_DROPPED,
    DESYNC_NONCOMPLIANT,
    INVALID_HEADERS,
    TRANSACTION_REQUESTS,
    TRANSACTION_DURATION,
    TRANSACTION_NAMES,
    TRANSACTION_OVERFLOW,
    BUILD_INFO,
)
