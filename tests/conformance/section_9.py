"""alb.md 9: the access log."""

# ruff: noqa: E501 - one row a line, and YAML is full of braces

from tests.conformance.rows import HTTP2, RAW, Exchange, Row, get, logs

TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
SECONDS = r"[0-9]+\.[0-9]{3}"
RULE = "[{{priority: 7, conditions: [{{path-pattern: '*'}}], {}}}]"
NO_TIMES = {"request_processing_time": "-1", "target_processing_time": "-1", "response_processing_time": "-1"}


def _field(
    id: str,
    send: bytes = get(),
    status: int = 200,
    /,
    *,
    rules: str = "[]",
    default: str = "{forward: targets}",
    **fields: str,
) -> Exchange:
    return Exchange(id, "9.1", send, status, rules=rules, default=default, log=logs(**fields))


ROWS: list[Row] = [
    _field("1 type: http", type="http"),
    Exchange("1 type: h2", "9.1", log=logs(type="h2", request_proto=r"HTTP/2\.0"), doors=HTTP2),
    Exchange("1 type: grpc", "9.1", get("/a.B/c", "Content-Type: application/grpc", method="POST") + b"\0\0\0\0\0", protocol_version="GRPC", log=logs(type="grpc"), doors=HTTP2),
    _field("2 time: of the response, ISO 8601 with microseconds", time=TIME),
    _field("3 elb: app/name/id", elb="app/strangler-fig/[0-9a-f]{16}"),
    _field("4 client:port: the peer, whatever X-Forwarded-For says", get("/", "X-Forwarded-For: 192.0.2.1"), client_ip=r"127\.0\.0\.1", client_port="[0-9]+"),
    _field("5 target:port", target_ip=r"127\.0\.0\.1", target_port="[0-9]+"),
    _field("5 target:port: - for a fixed response", default="{fixed-response: {status_code: 200}}", target_port_list="-"),
    _field("5 target:port: - for a redirect", get(), 301, default="{redirect: {port: 81, status_code: HTTP_301}}", target_port_list="-"),
    _field("6 to 8 times: seconds with milliseconds", request_processing_time=SECONDS, target_processing_time=SECONDS, response_processing_time=SECONDS),
    Exchange("6 to 8 times: -1 when the target closed early", "9.1", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 502, target="closes after the request", log=logs(**NO_TIMES)),
    Exchange("6 to 8 times: -1 when the target was silent to the idle timeout", "9.1", status=504, target="says nothing", later=61, log=logs(**NO_TIMES)),
    Exchange("6 to 8 times: -1 for a malformed request", "9.1", b"nonsense\r\n\r\n", 400, log=logs(**NO_TIMES), doors=RAW),
    Exchange("6 to 8 times: -1 when the request could not be sent", "9.1", status=502, target="refuses connections", log=logs(**NO_TIMES)),
    _field("9 and 10 status codes: both", elb_status_code="200", target_status_code="200"),
    _field("9 and 10 status codes: no target", get(), 404, default="{fixed-response: {status_code: 404}}", elb_status_code="404", target_status_code="-"),
    Exchange("11 received bytes: headers included", "9.1", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab", log=logs(received_bytes="49"), doors=RAW),
    Exchange("12 sent bytes: headers included", "9.1", response=b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345", log=logs(sent_bytes="43"), doors=RAW),
    _field("13 request: method, URL with port and version", get("/a?b=c%20d", host="x.example"), request_verb="GET", request_url="http://x.example:[0-9]+/a[?]b=c%20d", request_proto=r"HTTP/1\.1"),
    _field("13 request: as sent, before a transform", get("/api/a"), rules=RULE.format("transforms: [{url-rewrite: {regex: /api, replace: ''}}], forward: targets"), request_url="http://x:[0-9]+/api/a"),
    _field("14 user agent", get("/", "User-Agent: a/1 (b)"), user_agent=r"a/1 \(b\)"),
    _field("14 user agent: cut at 8 KB", get("/", "User-Agent: " + "a" * 9000), user_agent="a{8192}"),
    _field("14 user agent: - without", user_agent="-"),
    _field("15 and 16 TLS: - without", ssl_cipher="-", ssl_protocol="-"),
    _field("17 target group", target_group_arn="arn:aws:elasticloadbalancing:[^:]+:[0-9]{12}:targetgroup/targets/[0-9a-f]{16}"),
    _field("17 target group: - without", default="{fixed-response: {status_code: 200}}", target_group_arn="-"),
    _field("18 trace id", trace_id="Root=1-[0-9a-f]{8}-[0-9a-f]{24}"),
    _field("19 and 20 domain and certificate: - without TLS", domain_name="-", chosen_cert_arn="-"),
    _field("21 priority: of the rule", rules=RULE.format("forward: targets"), matched_rule_priority="7"),
    _field("21 priority: 0 of the default rule", matched_rule_priority="0"),
    _field("21 priority: - for an error before the rules", get(method="TRACE"), 405, matched_rule_priority="-"),
    _field("22 creation time", request_creation_time=TIME),
    _field("23 actions: forward", actions_executed="forward"),
    _field("23 actions: fixed-response", default="{fixed-response: {status_code: 200}}", actions_executed="fixed-response"),
    _field("23 actions: redirect", get(), 301, default="{redirect: {port: 81, status_code: HTTP_301}}", actions_executed="redirect"),
    _field("23 actions: - when none was", get(method="TRACE"), 405, actions_executed="-"),
    _field("24 redirect URL", get("/a"), 301, default="{redirect: {host: y.example, port: 81, status_code: HTTP_301}}", redirect_url="http://y.example:81/a"),
    _field("24 redirect URL: - without", redirect_url="-"),
    _field("25 error reason: - without", error_reason="-"),
    _field("26 and 27 lists: one item each", target_port_list="127.0.0.1:[0-9]+", target_status_code_list="200"),
    _field("28 and 29 classification: - when compliant", classification="-", classification_reason="-"),
    Exchange("28 and 29 classification and its reason", "9.1", get("/", "Transfer_Encoding: chunked"), log=logs(classification="Ambiguous", classification_reason="SuspiciousHeader"), doors=RAW),
    Exchange("30 connection's trace id", "9.1", log=logs(conn_trace_id="TID_[0-9a-f]{32}"), doors=RAW),
    _field("31 and 32 transforms", get("/a", host="a.example"), rules=RULE.format("transforms: [{url-rewrite: {regex: a, replace: b}}, {host-header-rewrite: {regex: a, replace: b}}], forward: targets"), transformed_host=r"b\.example", transformed_uri="/b"),
    _field("31 to 33 transforms: - without", transformed_host="-", transformed_uri="-", request_transform_status="-"),
    Exchange("a WebSocket is logged at its close", "9.1", get("/", "Connection: Upgrade", "Upgrade: websocket"), 101, target="echoes over a WebSocket", log=logs(type="ws", elb_status_code="101", received_bytes="[0-9]+"), doors=RAW),
    _field("what a client sends adds no field", get("/", 'User-Agent: a" b "c'), user_agent=r'a\\x22 b \\x22c'),
]  # fmt: skip
