"""Tables for the tests of loading. `§` in a bad one marks where its problem must be shown."""

from __future__ import annotations

from textwrap import dedent, indent

from proxy.config.load import load_with_warnings
from proxy.config.problem import ConfigError, Problem

MARK = "§"

SHORT = """\
version: 1
listeners: [{port: 8080, default: {forward: monolith}}]
target_groups: {monolith: {targets: [http://localhost:8000]}}
"""

WHOLE = """\
version: 1

attributes:                                   # of the load balancer; keys and values as in the ELBv2 API
  idle_timeout.timeout_seconds: 60
  routing.http.xff_header_processing.mode: append

listeners:
  - name: web                                 # optional; default "<protocol>-<port>"
    port: 8080
    protocol: HTTP                            # HTTP | HTTPS
    default: {forward: monolith}              # the default rule: actions only
    rules:
      - name: users                           # optional; default "rule-<priority>"; unique in the listener
        priority: 10                          # 1..50000, unique in the listener; order in the file means nothing
        conditions:                           # ANDed; values inside one condition are ORed
          - host-header: api.mycompany.com
          - path-pattern: [/api/users, /api/users/*]
        forward: {monolith: 90, users: 10}    # weights 0..999; shifting traffic is editing these two numbers
        stickiness: {duration_seconds: 3600}  # target group stickiness of this forward
      - name: bots
        priority: 20
        conditions:
          - query-string: {utm_source: bot}
        fixed-response: {status_code: 403, content_type: text/plain, message_body: no bots today}
      - name: mobile
        priority: 30
        conditions:
          - http-header: {User-Agent: "*Mobile*"}
          - http-header: {Version: 1.0.0}
        redirect: {host: m.mycompany.com, status_code: HTTP_302}

target_groups:
  monolith:
    targets: [http://monolith:8000]
    health_check: {path: /health, interval_seconds: 10}
  users:
    targets: [http://users:8000]              # a host name that resolves to several addresses is several targets
    health_check: {path: /health}
    attributes:
      load_balancing.algorithm.type: least_outstanding_requests
      slow_start.duration_seconds: 30
"""
"""The example that the language is explained with."""

HTTPS = """\
version: 1
listeners:
  - port: 8443
    protocol: HTTPS
    certificates:
      - {certificate_file: web.pem, private_key_file: web.key}
    ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06
    mutual_authentication: {mode: off}
    attributes: {routing.http.response.server.enabled: false}
    default: {forward: monolith}
    rules:
      - priority: 1
        conditions: [{path-pattern: /private/*}]
        authenticate-oidc:
          issuer: https://login.example.com
          authorization_endpoint: https://login.example.com/authorize
          token_endpoint: https://login.example.com/token
          user_info_endpoint: https://login.example.com/user
          client_id: web
          client_secret: ${CLIENT_SECRET}
        transforms:
          - url-rewrite: {regex: ^/private, replace: /}
          - host-header-rewrite: {regex: .*, replace: internal.example.com}
        forward: monolith
        migration: {shadow: users}
      - priority: 2
        conditions: [{path-pattern: /token/*}]
        jwt-validation:
          issuer: https://login.example.com
          jwks_endpoint: https://login.example.com/keys
          additional_claims: [{format: single-string, name: role, values: [admin]}]
        forward: monolith
target_groups:
  monolith: {targets: [http://localhost:8000], protocol_version: HTTP1}
  function:
    target_type: lambda
    targets: [arn:aws:lambda:eu-west-1:123456789012:function:users:live]
    attributes: {lambda.multi_value_headers.enabled: true}
    health_check: {enabled: true, path: /health, matcher: 200-299}
    local: {payload: alb, invocation: async, endpoint: http://localhost:9001}
"""

CONDITIONS = """\
version: 1
listeners: [{port: 80, default: {forward: monolith}, rules: [
  {priority: 1, forward: monolith, conditions: [{host-header: {regex: '^(a|b)\\.example\\.com$'}}]},
  {priority: 2, forward: monolith, conditions: [{path-pattern: {regex: [^/a, ^/b]}}, {source-ip: 10.0.0.0/8}]},
  {priority: 3, forward: monolith, conditions: [{http-request-method: [GET, M-SEARCH]}]},
  {priority: 4, forward: monolith, conditions: [{query-string: [a, {k: [b, c]}]}, {query-string: 'x\\*'}]},
  {priority: 5, forward: monolith, conditions: [{http-header: {X-A: {regex: .+}}}, {source-ip: ['::/0']}]}]}]
target_groups: {monolith: {targets: []}}
"""

EXAMPLES = {"short": SHORT, "whole": WHOLE, "https": HTTPS, "conditions": CONDITIONS}


def table_with_rule(lines: str) -> str:
    """A good table whose only rule has these lines; they begin in line 8, column 9."""
    rule = indent(dedent(lines).strip("\n"), " " * 8)
    return (
        "version: 1\n"
        "target_groups:\n"
        "  monolith: {targets: [http://localhost:8000]}\n"
        "listeners:\n"
        "  - port: 8080\n"
        "    default: {forward: monolith}\n"
        "    rules:\n"
        f"      -{rule[7:]}\n"
    )


def table_with_condition(condition: str) -> str:
    """A good table with one rule with this condition, given as `type: value`."""
    return table_with_rule(f"priority: 1\nforward: monolith\nconditions:\n  - {condition}")


def table_with_action(lines: str) -> str:
    """A good table with one rule with these actions."""
    return table_with_rule("priority: 1\nconditions: [{path-pattern: /}]\n" + dedent(lines).strip("\n"))


def table_with_group(lines: str) -> str:
    """A good table whose target group `monolith` has these lines, from column 5."""
    return (
        "version: 1\n"
        "listeners: [{port: 8080, default: {forward: monolith}}]\n"
        "target_groups:\n"
        "  monolith:\n" + indent(dedent(lines).strip("\n"), " " * 4) + "\n"
    )


def table_with_attributes(lines: str) -> str:
    """A good table with these load balancer attributes."""
    return SHORT + "attributes:\n" + indent(dedent(lines).strip("\n"), "  ") + "\n"


def marked(text: str) -> tuple[str, int, int]:
    """The text without its mark, and the mark's line and column."""
    before, mark, after = text.partition(MARK)
    assert mark, "the table has no mark"
    return before + after, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def problems_of(text: str, env: dict[str, str] | None = None) -> list[Problem]:
    """Everything wrong or doubtful about a table."""
    try:
        return load_with_warnings(text, env or {})[1]
    except ConfigError as error:
        return error.problems
