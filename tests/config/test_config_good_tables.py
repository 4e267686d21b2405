"""Tables that are accepted, what they say, and what is doubtful about them."""

from __future__ import annotations

from textwrap import indent

import pytest
from config_tables import (
    CONDITIONS,
    EXAMPLES,
    HTTPS,
    MARK,
    SHORT,
    WHOLE,
    marked,
    problems_of,
    table_with_action,
    table_with_attributes,
    table_with_condition,
    table_with_group,
    table_with_rule,
)

from proxy.config.load import load, load_with_warnings
from proxy.config.model import (
    ActionConfig,
    ConditionConfig,
    Config,
    FixedResponseConfig,
    ForwardConfig,
    HealthCheckConfig,
    ListenerAttributes,
    ListenerConfig,
    LoadBalancerAttributes,
    QueryPair,
    RedirectConfig,
    RuleConfig,
    StickinessConfig,
    TargetConfig,
    TargetGroupAttributes,
    TargetGroupConfig,
    TransformConfig,
)
from proxy.config.problem import ConfigError
from proxy.tls import MTLS_HEADERS, TLS_HEADERS


def forward(**weights: int) -> ForwardConfig:
    return ForwardConfig(tuple(weights.items()))


def test_the_shortest_table() -> None:
    """Everything goes to the monolith; all the rest is the load balancer's default."""
    expected = Config(
        listeners=(ListenerConfig("HTTP-8080", 8080, forward(monolith=1)),),
        target_groups={"monolith": TargetGroupConfig("monolith", (TargetConfig("http", "localhost", 8000),))},
    )

    assert (expected, []) == load_with_warnings(SHORT, {})


def test_the_whole_example() -> None:
    """The example of the language; its one warning is for what it asks of a target group."""
    users = RuleConfig(
        "users",
        10,
        (
            ConditionConfig("host-header", ("api.mycompany.com",)),
            ConditionConfig("path-pattern", ("/api/users", "/api/users/*")),
        ),
        ForwardConfig((("monolith", 90), ("users", 10)), stickiness_seconds=3600),
    )
    bots = RuleConfig(
        "bots",
        20,
        (ConditionConfig("query-string", pairs=(QueryPair("utm_source", "bot"),)),),
        FixedResponseConfig(403, "text/plain", "no bots today"),
    )
    mobile = RuleConfig(
        "mobile",
        30,
        (
            ConditionConfig("http-header", ("*Mobile*",), header_name="User-Agent"),
            ConditionConfig("http-header", ("1.0.0",), header_name="Version"),
        ),
        RedirectConfig(302, host="m.mycompany.com"),
    )
    expected = Config(
        listeners=(ListenerConfig("web", 8080, forward(monolith=1), (users, bots, mobile)),),
        target_groups={
            "monolith": TargetGroupConfig(
                "monolith",
                (TargetConfig("http", "monolith", 8000),),
                HealthCheckConfig(path="/health", interval_seconds=10),
            ),
            "users": TargetGroupConfig(
                "users",
                (TargetConfig("http", "users", 8000),),
                HealthCheckConfig(path="/health"),
                TargetGroupAttributes(algorithm="least_outstanding_requests", slow_start_seconds=30),
            ),
        },
    )

    config, warnings = load_with_warnings(WHOLE, {})

    assert expected == config
    assert [(problem.code, problem.place.path) for problem in warnings] == [
        ("refused-by-load-balancer", "target_groups.users.attributes.slow_start.duration_seconds")
    ]


def test_what_does_nothing_yet_in_the_https_example() -> None:
    """Each key is refused for that reason alone: its shape is right."""
    problems = problems_of(HTTPS, {"CLIENT_SECRET": "hunter2"})

    assert {"not-supported-yet"} == {problem.code for problem in problems}
    assert [problem.place.path for problem in problems] == [
        "listeners[0].rules[0].migration",
    ]


def test_conditions_in_every_form() -> None:
    config = load(CONDITIONS, {})

    assert [
        (ConditionConfig("host-header", regex_values=(r"^(a|b)\.example\.com$",)),),
        (
            ConditionConfig("path-pattern", regex_values=("^/a", "^/b")),
            ConditionConfig("source-ip", ("10.0.0.0/8",)),
        ),
        (ConditionConfig("http-request-method", ("GET", "M-SEARCH")),),
        (
            ConditionConfig("query-string", pairs=(QueryPair(None, "a"), QueryPair("k", "b"), QueryPair("k", "c"))),
            ConditionConfig("query-string", pairs=(QueryPair(None, r"x\*"),)),
        ),
        (
            ConditionConfig("http-header", regex_values=(".+",), header_name="X-A"),
            ConditionConfig("source-ip", ("::/0",)),
        ),
    ] == [rule.conditions for rule in config.listeners[0].rules]


def test_transforms() -> None:
    text = table_with_action(
        """
        forward: monolith
        transforms:
          - host-header-rewrite: {regex: ^(.*)$, replace: dev.$1}
          - url-rewrite: {regex: ^/api, replace: ""}
        """
    )

    assert load(text, {}).listeners[0].rules[0].transforms == (
        TransformConfig("host-header-rewrite", "^(.*)$", "dev.$1"),
        TransformConfig("url-rewrite", "^/api", ""),
    )
    assert load(CONDITIONS, {}).listeners[0].rules[0].transforms == ()


def test_rules_come_in_the_order_of_their_priorities() -> None:
    text = SHORT.replace(
        "default:",
        "rules: [{priority: 7, conditions: [{path-pattern: /b}], forward: monolith},"
        " {priority: 3, conditions: [{path-pattern: /a}], forward: monolith}], default:",
    )

    assert [rule.name for rule in load(text, {}).listeners[0].rules] == ["rule-3", "rule-7"]


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        pytest.param("forward: {monolith: 999}", forward(monolith=999), id="a single group with a weight"),
        pytest.param("forward: monolith\nstickiness: {enabled: false}", forward(monolith=1), id="stickiness off"),
        pytest.param(
            "forward: monolith\nstickiness: {duration_seconds: 604800}",
            ForwardConfig((("monolith", 1),), stickiness_seconds=604_800),
            id="stickiness of a week",
        ),
        pytest.param(
            "forward: monolith\nstickiness: {enabled: false, duration_seconds: 60}",
            forward(monolith=1),
            id="a duration of stickiness that is off",
        ),
        pytest.param("forward: monolith\ntransforms: []", forward(monolith=1), id="no transforms"),
        pytest.param("forward: monolith\nmigration: {}", forward(monolith=1), id="an empty migration"),
        pytest.param(
            "redirect: {protocol: HTTPS, port: 443, status_code: HTTP_301}",
            RedirectConfig(301, protocol="HTTPS", port="443"),
            id="a port as a number",
        ),
        pytest.param(
            'redirect: {port: "8443", status_code: HTTP_302}', RedirectConfig(302, port="8443"), id="a port in quotes"
        ),
        pytest.param(
            "redirect: {host: 'new.#{host}', port: '#{port}', path: '/#{port}/#{path}', "
            "query: 'a=#{query}&b=#{query}', status_code: HTTP_302}",
            RedirectConfig(302, host="new.#{host}", path="/#{port}/#{path}", query="a=#{query}&b=#{query}"),
            id="placeholders",
        ),
        pytest.param(
            "redirect: {path: /new, query: '', status_code: HTTP_302}",
            RedirectConfig(302, path="/new", query=""),
            id="an empty query",
        ),
        pytest.param('fixed-response: {status_code: "503"}', FixedResponseConfig(503), id="a status in quotes"),
    ],
)
def test_actions(action: str, expected: ActionConfig) -> None:
    config = load(table_with_action(action), {})

    assert expected == config.listeners[0].rules[0].action


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        pytest.param("204", ((204, 204),), id="a number"),
        pytest.param("'200,202'", ((200, 200), (202, 202)), id="a list"),
        pytest.param('"200-299, 404"', ((200, 299), (404, 404)), id="a range and a code"),
        pytest.param("{http_code: 200-499}", ((200, 499),), id="as in the API"),
    ],
)
def test_matchers(matcher: str, expected: tuple[tuple[int, int], ...]) -> None:
    config = load(table_with_group(f"targets: [http://a:1]\nhealth_check: {{matcher: {matcher}}}"), {})

    assert expected == config.target_groups["monolith"].health_check.matcher


def test_a_target_group_with_everything() -> None:
    config = load(
        table_with_group(
            """
            targets: [https://a:1, "https://[::1]:2"]
            target_type: ip
            protocol_version: HTTP1
            health_check:
              protocol: HTTP
              port: 9000
              path: /health?deep=1
              interval_seconds: 5
              timeout_seconds: 2
              healthy_threshold_count: 2
              unhealthy_threshold_count: 10
              enabled: true
            attributes:
              deregistration_delay.timeout_seconds: 0
              load_balancing.algorithm.type: round_robin
              load_balancing.algorithm.anomaly_mitigation: off
              slow_start.duration_seconds: 0
              stickiness.enabled: false
              stickiness.type: lb_cookie
              target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage: off
            """
        ),
        {},
    )

    assert (
        TargetGroupConfig(
            "monolith",
            (TargetConfig("https", "a", 1), TargetConfig("https", "::1", 2)),
            HealthCheckConfig(True, "HTTP", 9000, "/health?deep=1", 5, 2, 2, 10),
            TargetGroupAttributes(0),
        )
        == config.target_groups["monolith"]
    )


_ROUTING = "target_group_health.unhealthy_state_routing.minimum_healthy_targets"
_DNS = "target_group_health.dns_failover.minimum_healthy_targets"


@pytest.mark.parametrize(
    ("attributes", "expected", "warnings"),
    [
        pytest.param(
            "load_balancing.algorithm.type: weighted_random\nload_balancing.algorithm.anomaly_mitigation: on",
            TargetGroupAttributes(algorithm="weighted_random", anomaly_mitigation=True),
            [],
            id="automatic target weights",
        ),
        pytest.param("slow_start.duration_seconds: 900", TargetGroupAttributes(slow_start_seconds=900), [], id="slow"),
        pytest.param(
            "slow_start.duration_seconds: 30\nload_balancing.algorithm.type: weighted_random",
            TargetGroupAttributes(slow_start_seconds=30, algorithm="weighted_random"),
            ["refused-by-load-balancer"],
            id="slow start with another algorithm is doubtful",
        ),
        pytest.param(
            "stickiness.enabled: true",
            TargetGroupAttributes(stickiness=StickinessConfig("lb_cookie", 86_400)),
            [],
            id="lb_cookie for a day is the default",
        ),
        pytest.param(
            "stickiness.enabled: true\nstickiness.type: lb_cookie\nstickiness.lb_cookie.duration_seconds: 1",
            TargetGroupAttributes(stickiness=StickinessConfig("lb_cookie", 1)),
            [],
            id="lb_cookie",
        ),
        pytest.param(
            "stickiness.enabled: true\nstickiness.type: app_cookie\nstickiness.app_cookie.cookie_name: JSESSIONID\n"
            "stickiness.app_cookie.duration_seconds: 604800\nstickiness.lb_cookie.duration_seconds: 5",
            TargetGroupAttributes(stickiness=StickinessConfig("app_cookie", 604_800, "JSESSIONID")),
            [],
            id="app_cookie",
        ),
        pytest.param(
            "stickiness.type: app_cookie", TargetGroupAttributes(), [], id="a type of stickiness that is not enabled"
        ),
        pytest.param(
            f"{_ROUTING}.count: 3\n{_ROUTING}.percentage: 50",
            TargetGroupAttributes(minimum_healthy_count=3, minimum_healthy_percentage=50),
            [],
            id="thresholds of routing",
        ),
        pytest.param(
            f"{_ROUTING}.count: 2\n{_DNS}.count: 2\n{_DNS}.percentage: off",
            TargetGroupAttributes(minimum_healthy_count=2),
            ["without-effect", "without-effect"],
            id="thresholds of DNS do nothing here",
        ),
        pytest.param(
            "load_balancing.cross_zone.enabled: true\nstickiness.enabled: true",
            TargetGroupAttributes(stickiness=StickinessConfig()),
            ["without-effect"],
            id="cross-zone does nothing here",
        ),
    ],
)
def test_target_group_attributes(attributes: str, expected: TargetGroupAttributes, warnings: list[str]) -> None:
    table = table_with_group("targets: [http://a:1]\nattributes:\n" + indent(attributes, "  "))
    config, problems = load_with_warnings(table, {})

    assert expected == config.target_groups["monolith"].attributes
    assert [problem.code for problem in problems] == warnings


def test_load_balancer_attributes() -> None:
    config = load(
        table_with_attributes(
            """
            idle_timeout.timeout_seconds: 4000
            client_keep_alive.seconds: 60
            routing.http.xff_header_processing.mode: remove
            routing.http.xff_client_port.enabled: true
            routing.http.preserve_host_header.enabled: true
            routing.http2.enabled: true
            routing.http.desync_mitigation_mode: strictest
            routing.http.drop_invalid_header_fields.enabled: true
            """
        ),
        {},
    )

    assert LoadBalancerAttributes(4000, 60, "remove", True, True, "strictest", True) == config.attributes


def test_listener_attributes() -> None:
    """alb.md 6.4: headers in the load balancer's own order."""
    config = load(
        """
version: 1
listeners:
  - port: 8080
    default: {fixed-response: {status_code: 204}}
    attributes:
      routing.http.response.server.enabled: false
      routing.http.response.x_frame_options.header_value: DENY
      routing.http.response.strict_transport_security.header_value: max-age=1; preload
""",
        {},
    )

    assert config.listeners[0].attributes == ListenerAttributes(
        (("Strict-Transport-Security", "max-age=1; preload"), ("X-Frame-Options", "DENY")), False
    )


@pytest.mark.parametrize(
    ("text", "code", "path"),
    [
        pytest.param(
            table_with_condition("source-ip: §10.1.2.3/8"),
            "host-bits",
            "listeners[0].rules[0].conditions[0].source-ip",
            id="a CIDR block with host bits",
        ),
        pytest.param(
            table_with_attributes("deletion_protection.enabled: §true"),
            "without-effect",
            "attributes.deletion_protection.enabled",
            id="deletion protection",
        ),
        pytest.param(
            table_with_attributes("access_logs.s3.bucket: §logs"),
            "without-effect",
            "attributes.access_logs.s3.bucket",
            id="logs to S3",
        ),
        pytest.param(
            table_with_group("targets: [http://a:1]\nhealth_check: {enabled: §false}"),
            "refused-by-load-balancer",
            "target_groups.monolith.health_check.enabled",
            id="health checks off",
        ),
        pytest.param(table_with_group("§targets: []"), "no-targets", "target_groups.monolith.targets", id="no target"),
        pytest.param(
            table_with_group("§targets: [http://a:1, https://a:2]"),
            "mixed-protocols",
            "target_groups.monolith.targets",
            id="http and https targets",
        ),
        pytest.param(
            "version: 1\n"
            "listeners: [{port: 80, default: {§forward: {a: 0, b: 0}}}]\n"
            "target_groups: {a: {targets: [http://a:1]}, b: {targets: [http://a:1]}}\n",
            "all-weights-zero",
            "listeners[0].default.forward",
            id="every weight 0",
        ),
        pytest.param(
            "version: 1\n"
            "listeners: [{port: 80, default: {forward: a}}]\n"
            "target_groups: {a: {targets: [http://a:1]}, §b: {targets: [http://a:1]}}\n",
            "unused-target-group",
            "target_groups.b",
            id="a group that no rule names",
        ),
        pytest.param(
            "version: 1\n"
            "target_groups: {a: {targets: [http://a:1]}}\n"
            "§listeners: [{port: 80, default: {forward: a}, rules: ["
            + ", ".join(
                f"{{priority: {number}, forward: a, conditions: [{{path-pattern: /{number}}}]}}"
                for number in range(1, 102)
            )
            + "]}]\n",
            "too-many-rules",
            "listeners",
            id="101 rules",
        ),
        pytest.param(
            "version: 1\n"
            "listeners: [{port: 80, default: {forward: {g0: 1, g1: 1}}, rules: ["
            + ", ".join(
                f"{{priority: {first}, conditions: [{{path-pattern: /}}], "
                f"forward: {{{', '.join(f'g{first + number}: 1' for number in range(5))}}}}}"
                for first in range(2, 101, 5)
            )
            + "]}]\n§target_groups: {"
            + ", ".join(f"g{number}: {{targets: [http://a:1]}}" for number in range(102))
            + "}\n",
            "too-many-target-groups",
            "target_groups",
            id="102 target groups",
        ),
    ],
)
def test_a_warning(text: str, code: str, path: str) -> None:
    """What is doubtful is said, and the table is used."""
    text, line, column = marked(text)
    _, warnings = load_with_warnings(text, {})

    assert [("warning", code, line, column, path)] == [
        (problem.severity, problem.code, problem.place.line, problem.place.column, problem.place.path)
        for problem in warnings
    ]


def test_six_wildcards_and_five_values_are_within_the_quota() -> None:
    text = table_with_rule(
        """
        priority: 50000
        forward: monolith
        conditions:
          - path-pattern: [/*, /?, /a*]
          - host-header: ["*.a.com", "?.*.b.com"]
        """
    )

    assert problems_of(text) == []


@pytest.mark.parametrize("name", ["short", "whole", "conditions"])
def test_loading_twice_gives_equal_tables_wherever_they_stand(name: str) -> None:
    """Places do not count: a comment above the table changes nothing."""
    text = EXAMPLES[name]
    moved = f"# a comment\n\n{text}"

    assert load(text, {}) == load(moved, {})


def test_an_anchor_may_be_used_again() -> None:
    text = """\
version: 1
listeners: [{port: 80, default: {forward: {a: 1, b: 1}}}]
target_groups:
  a: {targets: &here [http://localhost:8000]}
  b: {targets: *here}
"""
    groups = load(text, {}).target_groups

    assert groups["a"].targets == groups["b"].targets


def test_every_problem_is_reported_in_the_order_of_the_file() -> None:
    """One run of the check shows all there is to mend."""
    text = """\
version: 1
attributes: {idle_timeout.timeout_seconds: 0, nonsense: 1}
listeners:
  - port: 99999
    default: {forward: nowhere}
    rules:
      - name: a
        priority: 5
        conditions: [{path-pattern: 1}, {host-header: x}]
        redirect: {status_code: HTTP_303}
      - name: a
        priority: 5
        forward: {monolith: 1, nobody: 1}
target_groups:
  monolith: {targets: [localhost]}
"""
    assert [(problem.place.line, problem.code) for problem in problems_of(text)] == [
        (2, "out-of-range"),
        (2, "unknown-key"),
        (4, "out-of-range"),
        (5, "unknown-target-group"),
        (9, "wrong-type"),
        (9, "invalid-value"),
        (10, "redirect-loop"),
        (10, "unknown-value"),
        (11, "missing-key"),
        (11, "duplicate-name"),
        (12, "priority-in-use"),
        (13, "unknown-target-group"),
        (15, "invalid-target"),
    ]


def test_the_error_names_the_source_in_every_line() -> None:
    with pytest.raises(ConfigError) as caught:
        load("version: 2\n", {}, "tables/shop.yaml")

    lines = str(caught.value).splitlines()

    assert len(caught.value.problems) == len(lines) == 2
    assert all(line.startswith("tables/shop.yaml:1:") for line in lines)
    assert MARK not in str(caught.value)


RENAMING = """
version: 1
listeners:
  - port: 8443
    protocol: HTTPS
    certificates: [{certificate_file: a.pem, private_key_file: a.key}]
    default: {fixed-response: {status_code: 204}}
    attributes:
"""
RENAME = "      routing.http.request.x_amzn_"


def test_headers_about_tls_under_other_names() -> None:
    """Listener attributes of the API; an exchange of two names is no conflict."""
    names = {
        "mtls_clientcert": "X-Chain",
        "mtls_clientcert_serial_number": "X_Serial",
        "mtls_clientcert_issuer": "X-Amzn-Mtls-Clientcert-Subject",
        "mtls_clientcert_subject": "X-Amzn-Mtls-Clientcert-Issuer",
        "mtls_clientcert_validity": "x-amzn-mtls-clientcert-validity",
        "mtls_clientcert_leaf": "leaf",
        "tls_version": "X-Tls-1",
        "tls_cipher_suite": "X-Tls-2",
    }
    table = RENAMING + "".join(f"{RENAME}{key}.header_name: {name}\n" for key, name in names.items())

    renamed = load(table, {}).listeners[0].attributes.renamed_headers

    assert list(dict(renamed).values()) == list(names.values())
    assert {header.lower().replace("-", "_").removeprefix("x_amzn_") for header, _ in renamed} == names.keys()
    assert [header for header, _ in renamed] == [*MTLS_HEADERS, *TLS_HEADERS]


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        pytest.param("tls_version.header_name: 'a b'", "invalid-character", id="no header name"),
        pytest.param("tls_version.header_name: ''", "empty-value", id="empty"),
        pytest.param("tls_version.header_name: Host", "reserved-name", id="a header with a meaning"),
        pytest.param("tls_version.header_name: x-forwarded-FOR", "reserved-name", id="one of the gateway's own"),
        pytest.param(
            f"tls_version.header_name: A\n{RENAME}tls_cipher_suite.header_name: a", "conflicting-keys", id="one for two"
        ),
        pytest.param(
            "tls_version.header_name: X-Amzn-Tls-Cipher-Suite", "conflicting-keys", id="the name of another one"
        ),
    ],
)
def test_names_that_a_header_cannot_have(attributes: str, code: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(f"{RENAMING}{RENAME}{attributes}\n", {})

    assert [problem.code for problem in refused.value.problems] == [code]


def test_an_http_listener_has_no_headers_about_tls() -> None:
    table = RENAMING.replace("    certificates: [{certificate_file: a.pem, private_key_file: a.key}]\n", "")
    table = table.replace("HTTPS", "HTTP") + f"{RENAME}tls_version.header_name: X-Tls\n"

    with pytest.raises(ConfigError, match="protocol: HTTPS"):
        load(table, {})
