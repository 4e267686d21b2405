"""alb.md 1: objects, order of evaluation, quotas."""

# ruff: noqa: E501, UP031 - one row a line, and YAML is full of braces

from tests.conformance.rows import HTTP2, RAW, Checked, Exchange, Http2Connection, Matching, Row, get, logs

TWO_RULES = (
    "[{priority: 20, conditions: [{path-pattern: /a*}], fixed-response: {status_code: 220}},"
    " {priority: 10, conditions: [{path-pattern: '*'}, {http-request-method: GET}], fixed-response: {status_code: 210}}]"
)
SIX = ", ".join(f"/{letter}" for letter in "abcdef")

NOT_FOUND = "default: {fixed-response: {status_code: 404}}"


def _groups(count: int) -> str:
    return "".join(f"  g{number}: {{targets: ['http://127.0.0.1:1']}}\n" for number in range(1, count + 1))


def _ports(first: int, last: int) -> str:
    return "[%s]" % ", ".join(f"'http://127.0.0.1:{port}'" for port in range(first, last + 1))


def _verifying(port: int) -> str:
    mutual = "mutual_authentication: {mode: verify, trust_store_file: a.pem}"
    certificates = "certificates: [{certificate_file: b.pem, private_key_file: b.key}]"
    return f"{{port: {port}, protocol: HTTPS, {certificates}, {mutual}, {NOT_FOUND}}}"


ROWS: list[Row] = [
    Exchange("the lowest priority that matches wins, whatever the order in the file", "1.3", rules=TWO_RULES, status=210),
    Exchange("no later rule is looked at, however well it fits", "1.3", get("/abc"), rules=TWO_RULES, status=210),
    Exchange("different conditions are ANDed", "1.3", get("/a", method="PUT"), rules=TWO_RULES, status=220),
    Exchange("the default rule is tried last", "1.2", get("/b", method="PUT"), rules=TWO_RULES),
    Exchange(
        "values of one condition are ORed",
        "1.3",
        get("/b"),
        rules="[{priority: 1, conditions: [{path-pattern: [/a, /b]}], fixed-response: {status_code: 210}}]",
        status=210,
    ),
    Exchange(
        "only the first Host counts",
        "1.3",
        get("/", "Host: b.example.com", host="a.example.com"),
        rules="[{priority: 1, conditions: [{host-header: b.example.com}], fixed-response: {status_code: 210}}]",
        doors=("listener",),
    ),
    Exchange("pipelined requests are accepted", "1.1", get() + get(), doors=("listener",)),
    Checked("priority 50000 is the highest", "1.2", "{priority: 50000, conditions: [{path-pattern: /a}], forward: targets}"),
    Checked(
        "priority 50001 is too high", "1.2",
        "{priority: 50001, conditions: [{path-pattern: /a}], forward: targets}", "out-of-range",
    ),
    Checked("priority 0 is too low", "1.2", "{priority: 0, conditions: [{path-pattern: /a}], forward: targets}", "out-of-range"),
    Checked(
        "a rule has five condition values at most", "1.4",
        f"{{priority: 1, conditions: [{{path-pattern: [{SIX}]}}], forward: targets}}", "too-many-condition-values",
    ),
    Checked(
        "a rule has six wildcards at most", "1.4",
        "{priority: 1, conditions: [{path-pattern: '/*/*/*/*/*/*/*'}], forward: targets}", "too-many-wildcards",
    ),
    Checked(
        "six wildcards are accepted", "1.4", "{priority: 1, conditions: [{path-pattern: '/*/*/*/*/*/*'}], forward: targets}"
    ),
    Checked("a rule needs a condition", "1.2", "{priority: 1, conditions: [], forward: targets}", "empty-list"),
    Checked("a listener speaks HTTP or HTTPS", "1.1", entry="protocol: TCP,", code="unknown-value"),
    Checked("a listener's port is 65535 at most", "1.1", port="65536", code="out-of-range"),
    Checked("a listener's port is 1 at least", "1.1", port="0", code="out-of-range"),
    Checked("one listener per port", "1.1", table=f"version: 1\nlisteners: [{{name: a, port: 80, {NOT_FOUND}}}, {{name: b, port: 80, {NOT_FOUND}}}]", code="port-in-use"),
    Checked("HTTPS needs a certificate", "1.1", entry="protocol: HTTPS,", code="missing-key"),
    Exchange("no HTTP/2 on an HTTP listener", "1.1", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, closes=True, doors=RAW),
    Http2Connection("128 concurrent streams", "1.1", setting=(3, 128)),
    Http2Connection("no server push", "1.1", setting=(2, 0)),
    Http2Connection("GOAWAY and the end after 10,000 requests", "1.1", limit=("MAX_REQUESTS", 10_000)),
    Exchange("HTTP/1.0 is accepted", "1.1", get(version="1.0"), doors=RAW),
    Exchange("HTTP/2 is accepted", "1.1", doors=HTTP2),
    Exchange("pipelined requests get their answers in order", "1.1", get("/a") + get("/b", method="PUT"), rules=TWO_RULES, status=210, then=((b"", 200),), doors=RAW),
    Checked("a priority stands once on a listener", "1.2", "{priority: 1, conditions: [{path-pattern: /a}], forward: targets}, {name: b, priority: 1, conditions: [{path-pattern: /b}], forward: targets}", "priority-in-use"),
    Checked("gaps between priorities are fine", "1.2", "{priority: 7, conditions: [{path-pattern: /a}], forward: targets}, {priority: 900, conditions: [{path-pattern: /b}], forward: targets}"),
    Checked("the default rule has no conditions", "1.2", default="{conditions: [{path-pattern: /a}], forward: targets}", code="unknown-key"),
    Checked("the default rule has no priority", "1.2", default="{priority: 5, forward: targets}", code="unknown-key"),
    Exchange("a longer path is no better match", "1.3", get("/a/b/c"), rules="[{priority: 1, conditions: [{path-pattern: '/a*'}], fixed-response: {status_code: 210}}, {priority: 2, conditions: [{path-pattern: /a/b/c}], fixed-response: {status_code: 220}}]", status=210),
    Matching("control bytes are not in the language of the rules", "1.3", "[{path-pattern: '/a*'}]", ("GET /a%41",), ("GET /%00a", "GET /%0Aa")),
    Matching("two header conditions are needed to AND two values", "1.3", "[{http-header: {A: [x, y]}}]", ("GET / | A: x", "GET / | A: y"), ("GET / | A: x, y",)),
    Exchange("each request of a connection is matched anew", "1.3", get("/b", method="PUT"), rules=TWO_RULES, then=((get("/a", method="PUT"), 220), (get("/a"), 210), (get("/b", method="PUT"), 200)), doors=RAW),
    Exchange("a transform does not start the evaluation anew", "1.3", get("/old"), rules="[{priority: 1, conditions: [{path-pattern: /old}], transforms: [{url-rewrite: {regex: /old, replace: /new}}], forward: targets}, {priority: 2, conditions: [{path-pattern: /new}], fixed-response: {status_code: 220}}]", first_line=b"GET /new HTTP/1.1"),
    Exchange("a transform does not change which rule matched", "1.3", get("/old"), rules="[{priority: 1, conditions: [{path-pattern: /old}], transforms: [{url-rewrite: {regex: /old, replace: /new}}], forward: targets}]", log=logs(matched_rule_priority="1", request_url="http://x:[0-9]+/old")),
    Checked("over 100 rules are more than the quota", "1.4", ", ".join(f"{{priority: {number}, conditions: [{{path-pattern: /{number}}}], forward: targets}}" for number in range(1, 102)), warning="too-many-rules"),
    Checked("literals and regexes count together", "1.4", "{priority: 1, conditions: [{path-pattern: {regex: ['^/a', '^/b', '^/c']}}, {host-header: [a.b, c.d, e.f]}], forward: targets}", "too-many-condition-values"),
    Checked("3 and 2 values are accepted", "1.4", "{priority: 1, conditions: [{path-pattern: [/a, /b, /c]}, {host-header: [a.b, c.d]}], forward: targets}"),
    Checked("5 values in one condition are accepted", "1.4", "{priority: 1, conditions: [{path-pattern: [/a, /b, /c, /d, /e]}], forward: targets}"),
    Checked("? counts as a wildcard, over all conditions", "1.4", "{priority: 1, conditions: [{path-pattern: '/????'}, {host-header: '*.?.?.com'}], forward: targets}", "too-many-wildcards"),
    Checked("6 source-ip values are too many", "1.4", "{priority: 1, conditions: [{source-ip: [10.0.0.0/8, 11.0.0.0/8, 12.0.0.0/8, 13.0.0.0/8, 14.0.0.0/8, 15.0.0.0/8]}], forward: targets}", "too-many-condition-values"),
    Checked("5 target groups per forward", "1.4", default="{forward: {targets: 1, g1: 1, g2: 1, g3: 1, g4: 1, g5: 1}}", more=_groups(5), code="too-many-target-groups-in-action"),
    Checked("100 target groups", "1.4", more=_groups(100), warning="too-many-target-groups"),
    Checked("1000 targets in a group", "1.4", group="{targets: [%s]}" % ", ".join(f"'http://127.0.0.1:{port}'" for port in range(1, 1002)), warning="too-many-targets"),
    Checked("50 listeners", "1.4", table="version: 1\nlisteners: [%s]" % ", ".join(f"{{port: {port}, {NOT_FOUND}}}" for port in range(1, 52)), warning="too-many-listeners"),
    Checked("1000 targets over all groups", "1.4", table=f"version: 1\nlisteners: [{{port: 80, default: {{forward: {{a: 1, b: 1}}}}}}]\ntarget_groups: {{a: {{targets: {_ports(1, 600)}}}, b: {{targets: {_ports(601, 1001)}}}}}", warning="too-many-targets"),
    Checked("2 listeners verify client certificates", "1.4", table="version: 1\nlisteners: [%s]" % ", ".join(_verifying(port) for port in (1, 2))),
    Checked("3 listeners that verify client certificates", "1.4", table="version: 1\nlisteners: [%s]" % ", ".join(_verifying(port) for port in (1, 2, 3)), warning="refused-by-load-balancer"),
    Exchange("a request line under 16 K passes", "1.4", get("/" + "a" * 16_000)),
    Exchange("a header under 16 K passes", "1.4", get("/", "A: " + "a" * 16_000)),
    Exchange("headers under 64 K pass", "1.4", get("/", *[f"A{number}: " + "a" * 1000 for number in range(60)]), doors=RAW),
    Exchange("response headers under 32 K pass", "1.4", response=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: " + b"a" * 31_000 + b"\r\n\r\n"),
    Exchange("a Location under 8 K passes", "1.4", get("/" + "a" * 8000), 301, default="{redirect: {port: 81, status_code: HTTP_301}}"),
]  # fmt: skip
