"""Checks across records, over a `Config` from anywhere, and regexes by themselves."""

from __future__ import annotations

import pytest
from config_tables import problems_of

from proxy.config.check import MAX_RULES, check, value_count, wildcard_count
from proxy.config.load import load
from proxy.config.model import (
    ConditionConfig,
    Config,
    FixedResponseConfig,
    ListenerConfig,
    QueryPair,
    RedirectConfig,
    RuleConfig,
)
from proxy.config.problem import ConfigError
from proxy.config.regexes import regex_fault

NOTHING = FixedResponseConfig(404)


def table(*rules: RuleConfig, protocol: str = "HTTP") -> Config:
    assert protocol in ("HTTP", "HTTPS")
    listener = ListenerConfig("web", 80, NOTHING, rules, "HTTPS" if protocol == "HTTPS" else "HTTP")
    return Config((listener,), {})


def codes(config: Config) -> list[str]:
    return [problem.code for problem in check(config)]


@pytest.mark.parametrize(
    ("protocol", "redirect", "expected"),
    [
        pytest.param("HTTPS", "HTTP", ["https-to-http"], id="HTTPS to HTTP is refused"),
        pytest.param("HTTPS", "HTTPS", [], id="HTTPS to HTTPS"),
        pytest.param("HTTPS", "#{protocol}", [], id="HTTPS to the same"),
        pytest.param("HTTP", "HTTPS", [], id="HTTP to HTTPS"),
        pytest.param("HTTP", "HTTP", [], id="HTTP to HTTP"),
    ],
)
def test_redirects_between_protocols(protocol: str, redirect: str, expected: list[str]) -> None:
    """alb.md 3.2"""
    rule = RuleConfig("a", 1, (), RedirectConfig(302, protocol=redirect, host="m.com"))

    assert codes(table(rule, protocol=protocol)) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [pytest.param(MAX_RULES, [], id="100"), pytest.param(MAX_RULES + 1, ["too-many-rules"], id="101")],
)
def test_the_quota_of_rules(count: int, expected: list[str]) -> None:
    """The default rule does not count (alb.md 1.4)."""
    rules = [RuleConfig(f"r{number}", number, (), NOTHING) for number in range(1, count + 1)]

    assert codes(table(*rules)) == expected


@pytest.mark.parametrize(
    ("condition", "values", "wildcards"),
    [
        pytest.param(ConditionConfig("path-pattern", ("/*", "/?/**")), 2, 4, id="both wildcards count, each time"),
        pytest.param(ConditionConfig("path-pattern", regex_values=("a*", "b?")), 2, 0, id="a regex has none"),
        pytest.param(ConditionConfig("http-request-method", ("GET",)), 1, 0, id="a method"),
        pytest.param(ConditionConfig("http-header", ("*",), header_name="X*"), 1, 1, id="a header name has none"),
        pytest.param(
            ConditionConfig("query-string", pairs=(QueryPair("a*", r"\*\?b?"), QueryPair(None, "*"))),
            2,
            3,
            id="an escaped one in a query is a literal",
        ),
    ],
)
def test_what_counts_toward_the_quotas(condition: ConditionConfig, values: int, wildcards: int) -> None:
    """alb.md 1.4, 2.2"""
    assert (value_count(condition), wildcard_count(condition)) == (values, wildcards)


def test_what_is_missing_does_not_clash() -> None:
    """Two rules without priority and name are two missing priorities, and no clash between them."""
    text = """\
version: 1
listeners:
  - port: 80
    default: {fixed-response: {status_code: 404}}
    rules:
      - {conditions: [{path-pattern: /}], fixed-response: {status_code: 404}}
      - {conditions: [{path-pattern: /}], fixed-response: {status_code: 404}}
      - {priority: 0, conditions: [{path-pattern: /}], fixed-response: {status_code: 404}}
"""
    assert [(problem.place.line, problem.code) for problem in problems_of(text)] == [
        (6, "missing-key"),
        (7, "missing-key"),
        (8, "out-of-range"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "^/api/(v1|v2)/.*$",
        r"^\/api\/(.*)$",
        r"[\\pL]",
        r"\\1",
        r"\\pL",
        "[(?=]",
        "[*+]+",
        "a+?b*?c{2,3}?",
        "(?i)abc",
        "(?P<name>a)(?:b)",
        r"\+\++",
        "[]a]",
        "[^]a]",
    ],
)
def test_a_good_regex(text: str) -> None:
    """What looks like a refused construct, but is escaped or in a class, is none."""
    assert regex_fault(text) is None


@pytest.mark.parametrize("text", ["a{1001}", "((a{100}){100}){100}", "[b-a]", "*a", "a**", "(", ")", "[", "\\"])
def test_what_re2_refuses(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    """And without a word of its own on standard error."""
    fault = regex_fault(text)

    assert fault is not None
    assert fault.code == "invalid-regex"
    assert capfd.readouterr() == ("", "")


VERSION_TABLE = """\
version: 1
listeners: [{port: 80, protocol: %s, default: {forward: {plain: 1, other: 1}}%s}]
target_groups:
  plain: {targets: [http://localhost:8000]}
  other: {targets: [http://localhost:8001], protocol_version: %s}
"""
CERTIFICATES = ", certificates: [{certificate_file: a.pem, private_key_file: a.key}]"


@pytest.mark.parametrize("version", ["HTTP2", "GRPC"])
def test_groups_that_speak_http2_need_https(version: str) -> None:
    """alb.md 3: IncompatibleProtocols."""
    with pytest.raises(ConfigError) as caught:
        load(VERSION_TABLE % ("HTTP", "", version), {})
    (problem,) = caught.value.problems
    assert (problem.code, problem.place.path) == ("incompatible-protocols", "listeners[0].default.forward.other")
    assert f"'HTTP' is not supported with a target group with the protocol-version '{version}'" in problem.message
    load(VERSION_TABLE % ("HTTPS", CERTIFICATES, version), {})


def test_the_defaults_of_a_grpc_health_check() -> None:
    """alb.md 5.7."""
    config = load(VERSION_TABLE % ("HTTPS", CERTIFICATES, "GRPC"), {})
    check = config.target_groups["other"].health_check
    assert (check.path, check.matcher, check.protocol_version) == ("/AWS.ALB/healthcheck", ((12, 12),), "GRPC")
    assert config.target_groups["plain"].health_check.path == "/"


def test_http2_can_be_switched_off() -> None:
    table = VERSION_TABLE % ("HTTPS", CERTIFICATES, "HTTP1")
    assert load(table, {}).listeners[0].http2
    assert not load(f"{table}attributes: {{routing.http2.enabled: false}}\n", {}).listeners[0].http2
