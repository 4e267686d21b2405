"""alb.md 5: what a target group may be, and which clients it takes."""

# ruff: noqa: E501 - one row a line, and YAML is full of braces

from typing import Literal

from tests.conformance.rows import HTTP2, Checked, Exchange, Row, get, has, logs

GRPC = ("Content-Type: application/grpc", "TE: trailers")
FRAME = b"\0\0\0\0\0"


def _group(id: str, section: str, group: str, code: str = "", warning: str = "") -> Checked:
    """`group` is what the target group has beside its targets."""
    return Checked(id, section, group=f"{{targets: ['http://127.0.0.1:1'], {group}}}", code=code, warning=warning)


def _attributes(id: str, section: str, attributes: str, code: str = "", warning: str = "") -> Checked:
    return _group(id, section, f"attributes: {{{attributes}}}", code, warning)


def _check(id: str, settings: str, code: str = "", version: str = "HTTP1") -> Checked:
    entry = "protocol: HTTPS, certificates: [{certificate_file: a.pem, private_key_file: a.key}]," * (
        version != "HTTP1"
    )
    group = f"{{targets: ['http://127.0.0.1:1'], protocol_version: {version}, health_check: {{{settings}}}}}"
    return Checked(id, "5.7", group=group, code=code, entry=entry)


def _named(id: str, name: str, code: str = "") -> Checked:
    return Checked(id, "5.1", more=f"  {name}: {{targets: ['http://127.0.0.1:1']}}\n", code=code)


def _speaks(client: str, version: Literal["HTTP1", "HTTP2", "GRPC"], status: int, method: str = "GET") -> Exchange:
    verb = f" {method}" if version == "GRPC" else ""
    send = get("/a.B/c", *(GRPC if client == "gRPC" else ()), method="POST" if client == "gRPC" else method)
    send += FRAME * (client == "gRPC")
    row = Exchange(
        f"a client with {client}{verb if client != 'gRPC' else ''}, a target group with {version}",
        "5.1",
        send,
        status,
        protocol_version=version,
    )
    return row if client == "HTTP/1.1" else Exchange(row.id, "5.1", send, status, protocol_version=version, doors=HTTP2)


_COOKIE = "[^;]+; Expires=[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT; Path=/"

ROWS: list[Row] = [
    _named("a name of letters, digits and hyphens", "a-B-3"),
    _named("a name with an underscore", "a_b", "invalid-character"),
    _named("a name that begins with a hyphen", "-ab", "invalid-value"),
    _named("a name that ends with a hyphen", "ab-", "invalid-value"),
    _named("a name of 32 characters", "a" * 32),
    _named("a name of 33 characters", "a" * 33, "too-long"),
    Checked("a target that speaks neither HTTP nor HTTPS", "5.1", group="{targets: ['tcp://127.0.0.1:1']}", code="invalid-target"),
    _group("a protocol version that there is not", "5.1", "protocol_version: HTTP3", "unknown-value"),
    Exchange("certificates of HTTPS targets are not verified", "5.1", target="answers over TLS"),
    _speaks("HTTP/1.1", "HTTP1", 200),
    _speaks("HTTP/1.1", "HTTP2", 464),
    _speaks("HTTP/1.1", "GRPC", 464),
    _speaks("HTTP/2", "HTTP1", 200),
    _speaks("HTTP/2", "HTTP2", 200),
    _speaks("HTTP/2", "GRPC", 200, "POST"),
    _speaks("HTTP/2", "GRPC", 464, "GET"),
    _speaks("gRPC", "HTTP1", 464),
    _speaks("gRPC", "HTTP2", 200),
    _speaks("gRPC", "GRPC", 200),
    Exchange("gRPC trailers reach the client", "5.1", get("/a.B/c", *GRPC, method="POST") + FRAME, protocol_version="GRPC", answers=has(grpc_status=b"0", content_type=b"application/grpc"), log=logs(type="grpc"), doors=HTTP2),
    *[_attributes(f"the algorithm {name}", "5.2", f"load_balancing.algorithm.type: {name}") for name in ("round_robin", "least_outstanding_requests", "weighted_random")],
    _attributes("another algorithm", "5.2", "load_balancing.algorithm.type: random", "unknown-value"),
    _attributes("slow start with least_outstanding_requests", "5.2", "load_balancing.algorithm.type: least_outstanding_requests, slow_start.duration_seconds: 30", warning="refused-by-load-balancer"),
    _attributes("anomaly mitigation with weighted_random", "5.2", "load_balancing.algorithm.type: weighted_random, load_balancing.algorithm.anomaly_mitigation: 'on'"),
    _attributes("anomaly mitigation with round_robin", "5.2", "load_balancing.algorithm.anomaly_mitigation: 'on'", "conflicting-keys"),
    _attributes("a slow start of 29 s", "5.3", "slow_start.duration_seconds: 29", "out-of-range"),
    _attributes("a slow start of 30 s", "5.3", "slow_start.duration_seconds: 30"),
    _attributes("a slow start of 900 s", "5.3", "slow_start.duration_seconds: 900"),
    _attributes("a slow start of 901 s", "5.3", "slow_start.duration_seconds: 901", "out-of-range"),
    _attributes("no slow start", "5.3", "slow_start.duration_seconds: 0"),
    _attributes("a deregistration delay of 0 s", "5.4", "deregistration_delay.timeout_seconds: 0"),
    _attributes("a deregistration delay of 3600 s", "5.4", "deregistration_delay.timeout_seconds: 3600"),
    _attributes("a deregistration delay of 3601 s", "5.4", "deregistration_delay.timeout_seconds: 3601", "out-of-range"),
    _attributes("lb_cookie for 1 s", "5.5", "stickiness.enabled: true, stickiness.lb_cookie.duration_seconds: 1"),
    _attributes("lb_cookie for 604800 s", "5.5", "stickiness.enabled: true, stickiness.type: lb_cookie, stickiness.lb_cookie.duration_seconds: 604800"),
    _attributes("lb_cookie for 604801 s", "5.5", "stickiness.enabled: true, stickiness.lb_cookie.duration_seconds: 604801", "out-of-range"),
    _attributes("another type of stickiness", "5.5", "stickiness.enabled: true, stickiness.type: source_ip", "unknown-value"),
    _attributes("app_cookie", "5.5", "stickiness.enabled: true, stickiness.type: app_cookie, stickiness.app_cookie.cookie_name: sid"),
    _attributes("app_cookie for 604801 s", "5.5", "stickiness.enabled: true, stickiness.type: app_cookie, stickiness.app_cookie.cookie_name: sid, stickiness.app_cookie.duration_seconds: 604801", "out-of-range"),
    _attributes("app_cookie without a name", "5.5", "stickiness.enabled: true, stickiness.type: app_cookie", "missing-key"),
    *[_attributes(f"app_cookie with the name {name}", "5.5", f"stickiness.enabled: true, stickiness.type: app_cookie, stickiness.app_cookie.cookie_name: {name}", "invalid-value") for name in ("AWSALB", "AWSALBAPP", "AWSALBTG")],
    Checked("app_cookie in a forward to several groups", "5.5", default="{forward: {targets: 1, other: 1}, stickiness: {duration_seconds: 60}}", group="{targets: ['http://127.0.0.1:1'], attributes: {stickiness.enabled: true, stickiness.type: app_cookie, stickiness.app_cookie.cookie_name: sid}}", more="  other: {targets: ['http://127.0.0.1:1']}\n", code="app-cookie-with-weights"),
    _attributes("stickiness without cross-zone", "5.5", "stickiness.enabled: true, load_balancing.cross_zone.enabled: 'false'", "conflicting-keys"),
    Exchange("AWSALB and its twin on the wire", "5.5", group="{stickiness.enabled: true}", answers=has(set_cookie=(b"re:AWSALB=" + _COOKIE.encode(), b"re:AWSALBCORS=" + _COOKIE.encode() + b"; SameSite=None"))),
    Exchange("no cookie without stickiness", "5.5", get("/", "Cookie: AWSALB=a"), answers=has(set_cookie=None), gets=has(cookie=b"AWSALB=a")),
    *[_attributes(f"cross-zone {value}", "5.6", f"load_balancing.cross_zone.enabled: '{value}'", warning="without-effect") for value in ("true", "false", "use_load_balancer_configuration")],
    _attributes("cross-zone off and on", "5.6", "load_balancing.cross_zone.enabled: 'off'", "unknown-value"),
    _check("checks over HTTPS", "protocol: HTTPS"),
    _check("checks over TCP", "protocol: TCP", "unknown-value"),
    _check("checks at the traffic port", "port: traffic-port"),
    _check("checks at another port", "port: 8080"),
    _check("a path with a query", "path: '/health?deep=1'"),
    _check("a path of 1024 characters", f"path: /{'a' * 1023}"),
    _check("a path of 1025 characters", f"path: /{'a' * 1024}", "too-long"),
    _check("an interval of 4 s", "interval_seconds: 4, timeout_seconds: 2", "out-of-range"),
    _check("an interval of 300 s", "interval_seconds: 300"),
    _check("an interval of 301 s", "interval_seconds: 301", "out-of-range"),
    _check("a timeout of 1 s", "timeout_seconds: 1", "out-of-range"),
    _check("a timeout of 120 s", "timeout_seconds: 120, interval_seconds: 121"),
    _check("a timeout of 121 s", "timeout_seconds: 121, interval_seconds: 300", "out-of-range"),
    _check("a timeout that is not smaller than the interval", "timeout_seconds: 10, interval_seconds: 10", "timeout-not-below-interval"),
    *[_check(f"a {name}healthy threshold of {count}", f"{name}healthy_threshold_count: {count}", code) for name in ("", "un") for count, code in ((1, "out-of-range"), (2, ""), (10, ""), (11, "out-of-range"))],
    _check("a matcher of lists and ranges", "matcher: '200-299,302,499'"),
    _check("a matcher of 500", "matcher: '500'", "invalid-value"),
    _check("a matcher of 199", "matcher: '199'", "invalid-value"),
    _check("a matcher of gRPC codes", "matcher: {grpc_code: '0-99'}", version="GRPC"),
    _check("a matcher of gRPC code 100", "matcher: {grpc_code: '100'}", "invalid-value", version="GRPC"),
    Checked("health checks cannot be switched off", "5.7", group="{targets: ['http://127.0.0.1:1'], health_check: {enabled: false}}", warning="refused-by-load-balancer"),
    _attributes("a healthy count of 1", "5.8", "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count: 1"),
    _attributes("a healthy count of 0", "5.8", "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count: 0", "out-of-range"),
    _attributes("a healthy part of 100 %", "5.8", "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage: 100"),
    _attributes("a healthy part of 101 %", "5.8", "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage: 101", "out-of-range"),
    _attributes("a healthy part that is off", "5.8", "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage: 'off'"),
    _attributes("DNS failover below the routing threshold", "5.8", "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count: 2, target_group_health.dns_failover.minimum_healthy_targets.count: 1", "out-of-range"),
    _attributes("DNS failover", "5.8", "target_group_health.dns_failover.minimum_healthy_targets.count: 1", warning="without-effect"),
    Exchange("no registered target", "5.8", status=503, default="{forward: nobody}"),
]  # fmt: skip
