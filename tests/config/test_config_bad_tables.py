"""Tables that are refused: what is said, and where. `§` marks the place."""

from __future__ import annotations

import pytest
from config_tables import (
    MARK,
    SHORT,
    marked,
    problems_of,
    table_with_action,
    table_with_attributes,
    table_with_condition,
    table_with_group,
    table_with_rule,
)

CONDITION = "listeners[0].rules[0].conditions[0]"
RULE = "listeners[0].rules[0]"
GROUP = "target_groups.monolith"


def expect_one(text: str, code: str, path: str, says: str, env: dict[str, str] | None = None) -> None:
    """The table has exactly this error, at the mark, and nothing else."""
    text, line, column = marked(text)
    problems = problems_of(text, env)

    assert [(problem.code, problem.place.path) for problem in problems] == [(code, path)], problems
    (problem,) = problems
    assert (line, column) == (problem.place.line, problem.place.column)
    assert problem.severity == "error"
    assert says in problem.message


def case(text: str, code: str, path: str, says: str, id: str) -> object:
    return pytest.param(text, code, path, says, id=id)


@pytest.mark.parametrize(
    ("condition", "code", "path", "says"),
    [
        case("host-header: §example", "invalid-value", ".host-header", "needs a dot", "a host without a dot"),
        case("host-header: §10.0.0.1", "invalid-value", ".host-header", "only letters", "a host ending in digits"),
        case("host-header: §example.*", "invalid-value", ".host-header", "only letters", "a wildcard as last label"),
        case(
            'host-header: §"example.com:8080"',
            "invalid-character",
            ".host-header",
            "contains ':'",
            "a host with a port",
        ),
        case('host-header: §"ex_ample.com"', "invalid-character", ".host-header", "'_'", "a host with an underscore"),
        case(f"host-header: §{'a' * 125}.com", "too-long", ".host-header", "at most 128", "a host of 129 characters"),
        case('host-header: §""', "empty-value", ".host-header", "is empty", "an empty value"),
        case("§host-header: []", "empty-list", ".host-header", "the list is empty", "an empty list"),
        case("host-header: [a.com, §b]", "invalid-value", ".host-header[1]", "needs a dot", "the second value"),
        case("host-header: §1.0", "wrong-type", ".host-header", 'quote it, "1.0"', "a number for a string"),
        case("path-pattern: §8080", "wrong-type", ".path-pattern", "an integer to YAML", "an integer for a string"),
        case("path-pattern: §on", "wrong-type", ".path-pattern", 'quote it, "on"', "a boolean for a string"),
        case("path-pattern: §2026-01-02", "wrong-type", ".path-pattern", "a date", "a date for a string"),
        case("path-pattern: §~", "wrong-type", ".path-pattern", "no value", "a null for a string"),
        case("path-pattern: §/a%20b", "invalid-character", ".path-pattern", "'%'", "a percent sign in a path"),
        case('path-pattern: §"/a b"', "invalid-character", ".path-pattern", "' '", "a blank in a path"),
        case(f"path-pattern: §{'/' * 129}", "too-long", ".path-pattern", "129 characters", "a long path"),
        case(
            "http-request-method: §get",
            "invalid-character",
            ".http-request-method",
            "upper-case",
            "a method in lower case",
        ),
        case(
            f"http-request-method: §{'G' * 41}",
            "too-long",
            ".http-request-method",
            "at most 40",
            "a method of 41 letters",
        ),
        case(
            "http-request-method: [§G*]",
            "invalid-character",
            ".http-request-method[0]",
            "'*'",
            "a wildcard in a method",
        ),
        case("http-header: {§Host: a}", "invalid-value", ".http-header.Host", "host-header", "http-header on Host"),
        case("http-header: {§X A: a}", "invalid-character", ".http-header.X A", "' '", "a blank in a header name"),
        case(
            f"http-header: {{§{'X' * 41}: a}}",
            "too-long",
            f".http-header.{'X' * 41}",
            "at most 40",
            "a header name of 41 characters",
        ),
        case(
            "http-header: {§1.5: a}", "wrong-type", ".http-header.1.5", 'quote it, "1.5"', "a number for a header name"
        ),
        case("§http-header: {A: a, B: b}", "too-many-keys", ".http-header", "exactly one", "two header names"),
        case("§http-header: {}", "empty-mapping", ".http-header", "exactly one", "no header name"),
        case(
            'http-header: {A: §"ü"}',
            "invalid-character",
            ".http-header.A",
            "visible ASCII",
            "a header value beyond ASCII",
        ),
        case(
            "§http-header: [a]", "wrong-type", ".http-header", "a list stands here", "a list where a mapping is meant"
        ),
        case('query-string: §"a b"', "invalid-character", ".query-string", "RFC 3986", "a blank in a query"),
        case(r"query-string: §a\b", "invalid-value", ".query-string", "only escapes", "a strange escape in a query"),
        case('query-string: {a: §""}', "empty-value", ".query-string.a", "is empty", "an empty query value"),
        case(
            "query-string: [{a: 1.0.0}, {b: §1.0}]",
            "wrong-type",
            ".query-string[1].b",
            "quote it",
            "a number in a query",
        ),
        case("source-ip: §10.0.0.1", "invalid-cidr", ".source-ip", "with /32", "a bare IPv4 address"),
        case('source-ip: §"::1"', "invalid-cidr", ".source-ip", "with /128", "a bare IPv6 address"),
        case("source-ip: §10.0.0.0/33", "invalid-cidr", ".source-ip", "0 to 32", "a long prefix"),
        case("source-ip: §10.0.0.0/255.0.0.0", "invalid-cidr", ".source-ip", "0 to 32", "a netmask"),
        case("source-ip: §10.*", "invalid-cidr", ".source-ip", "not a CIDR", "a wildcard in an address"),
        case("source-ip: §255.255.255.255/32", "invalid-cidr", ".source-ip", "broadcast", "the broadcast address"),
        case("path-pattern: {regex: §'(?=a)'}", "unsupported-regex", ".path-pattern.regex", "lookahead", "lookahead"),
        case(
            "path-pattern: {regex: §'(?<!a)'}", "unsupported-regex", ".path-pattern.regex", "lookbehind", "lookbehind"
        ),
        case(
            r"path-pattern: {regex: §(a)\1}",
            "unsupported-regex",
            ".path-pattern.regex",
            "backreference",
            "a backreference",
        ),
        case(
            "path-pattern: {regex: §a++}",
            "unsupported-regex",
            ".path-pattern.regex",
            "possessive",
            "a possessive quantifier",
        ),
        case(
            "path-pattern: {regex: §'a{2}+'}",
            "unsupported-regex",
            ".path-pattern.regex",
            "possessive",
            "a possessive count",
        ),
        case("path-pattern: {regex: §(?>a)}", "unsupported-regex", ".path-pattern.regex", "atomic", "an atomic group"),
        case(
            r"path-pattern: {regex: §'\p{L}'}", "unsupported-regex", ".path-pattern.regex", "Unicode", "a Unicode class"
        ),
        case(
            r"path-pattern: {regex: §'[a\pL]'}",
            "unsupported-regex",
            ".path-pattern.regex",
            "Unicode",
            "a Unicode class in a class",
        ),
        case("path-pattern: {regex: §(?R)}", "unsupported-regex", ".path-pattern.regex", "recursion", "recursion"),
        case("path-pattern: {regex: §(a}", "invalid-regex", ".path-pattern.regex", "missing )", "an open group"),
        case(
            f"path-pattern: {{regex: §{'a' * 129}}}",
            "too-long",
            ".path-pattern.regex",
            "at most 128",
            "a regex of 129 characters",
        ),
        case(
            "path-pattern: {regex: [a, §(]}", "invalid-regex", ".path-pattern.regex[1]", "missing )", "the second regex"
        ),
        case(
            "path-pattern: {§values: a, regex: b}",
            "unknown-key",
            ".path-pattern.values",
            "regex",
            "values beside regex",
        ),
        case("§path-patern: /a", "unknown-key", ".path-patern", "did you mean path-pattern?", "a misspelt type"),
    ],
)
def test_a_bad_condition(condition: str, code: str, path: str, says: str) -> None:
    """alb.md 2: what each condition type accepts."""
    expect_one(table_with_condition(condition), code, CONDITION + path, says)


@pytest.mark.parametrize(
    ("rule", "code", "path", "says"),
    [
        case(
            """
            priority: 1
            forward: monolith
            §conditions:
              - host-header: [a.com, b.com, c.com]
              - path-pattern: [/a, /b, /c]
            """,
            "too-many-condition-values",
            ".conditions",
            "6 condition values",
            "six values over two conditions",
        ),
        case(
            """
            priority: 1
            forward: monolith
            §conditions:
              - path-pattern: {regex: [a, b, c]}
              - query-string: [{a: [b, c]}, d]
            """,
            "too-many-condition-values",
            ".conditions",
            "6 condition values",
            "regexes and query values count",
        ),
        case(
            """
            priority: 1
            forward: monolith
            §conditions: [{path-pattern: [/*/*/*, /?/?]}, {query-string: {"a*": '\\*?'}}]
            """,
            "too-many-wildcards",
            ".conditions",
            "7 wildcards",
            "seven wildcards, an escaped one not counted",
        ),
        case(
            """
            priority: 1
            forward: monolith
            conditions:
              - path-pattern: /a
              - path-pattern: §/b
            """,
            "duplicate-condition",
            ".conditions[1].path-pattern",
            "one path-pattern condition",
            "two path-patterns",
        ),
        case(
            """
            priority: 1
            forward: monolith
            conditions:
              - §path-pattern: /a
                http-request-method: GET
            """,
            "exactly-one-key",
            ".conditions[0]",
            "exactly one key",
            "two types in one condition",
        ),
        case("priority: 1\nforward: monolith\n§conditions: []", "empty-list", ".conditions", "empty", "no condition"),
        case("§priority: 1\nforward: monolith", "missing-key", "", "conditions is missing", "conditions left out"),
        case(
            "§conditions: [{path-pattern: /}]\nforward: monolith",
            "missing-key",
            "",
            "priority is missing",
            "no priority",
        ),
        case(
            "priority: §0\nconditions: [{path-pattern: /}]\nforward: monolith",
            "out-of-range",
            ".priority",
            "1 to 50000",
            "priority 0",
        ),
        case(
            "priority: §50001\nconditions: [{path-pattern: /}]\nforward: monolith",
            "out-of-range",
            ".priority",
            "1 to 50000",
            "priority 50001",
        ),
        case(
            'priority: §"1"\nconditions: [{path-pattern: /}]\nforward: monolith',
            "wrong-type",
            ".priority",
            "without quotes",
            "a priority in quotes",
        ),
        case(
            "priority: §1.5\nconditions: [{path-pattern: /}]\nforward: monolith",
            "wrong-type",
            ".priority",
            "whole number",
            "a priority with a fraction",
        ),
        case(
            "priority: §0x10\nconditions: [{path-pattern: /}]\nforward: monolith",
            "wrong-type",
            ".priority",
            "0x10",
            "a priority in hexadecimal",
        ),
        case(
            "priority: 1\nname: §default\nconditions: [{path-pattern: /}]\nforward: monolith",
            "reserved-name",
            ".name",
            "default rule",
            "a rule called default",
        ),
        case(
            "priority: 1\nconditions: [{path-pattern: /}]\nforward: monolith\nmigration: §5",
            "wrong-type",
            ".migration",
            "mapping",
            "migration that is no mapping",
        ),
        case(
            "priority: 1\nconditions: [{path-pattern: /}]\nforward: monolith\n§migration: {shadow: users}",
            "not-supported-yet",
            ".migration",
            "does nothing here yet",
            "migration",
        ),
    ],
)
def test_a_bad_rule(rule: str, code: str, path: str, says: str) -> None:
    """alb.md 1.2, 1.4, 2.1: what a rule needs and its quotas."""
    expect_one(table_with_rule(rule), code, RULE + path, says)


@pytest.mark.parametrize(
    ("action", "code", "path", "says"),
    [
        case(
            "forward: §monolit",
            "unknown-target-group",
            ".forward",
            "did you mean monolith?",
            "an unknown group",
        ),
        case(
            "forward: {monolith: 1, §userz: 1}",
            "unknown-target-group",
            ".forward.userz",
            "there is no",
            "one unknown of two",
        ),
        case("forward: §-a", "invalid-value", ".forward", "hyphen", "a group name with a hyphen first"),
        case("forward: §a_b", "invalid-character", ".forward", "'_'", "a group name with an underscore"),
        case(f"forward: §{'a' * 33}", "too-long", ".forward", "at most 32", "a group name of 33 characters"),
        case("forward: §7", "wrong-type", ".forward", 'quote it, "7"', "a number for a group name"),
        case("§forward: [monolith]", "wrong-type", ".forward", "a list stands here", "a list of groups"),
        case("forward: {monolith: §1000}", "out-of-range", ".forward.monolith", "0 to 999", "weight 1000"),
        case("forward: {monolith: §-1}", "out-of-range", ".forward.monolith", "0 to 999", "a negative weight"),
        case("forward: {monolith: §1.5}", "wrong-type", ".forward.monolith", "whole number", "half a weight"),
        case("§forward: {monolith: 0}", "out-of-range", ".forward.monolith", "1 to 999", "a single group at 0"),
        case("§forward: {}", "empty-mapping", ".forward", "1 to 5", "no group"),
        case(
            "forward: monolith\n§stickiness: {enabled: true}",
            "missing-key",
            ".stickiness",
            "duration_seconds is missing",
            "stickiness without a duration",
        ),
        case(
            "forward: monolith\nstickiness: {enabled: false, duration_seconds: §0}",
            "out-of-range",
            ".stickiness.duration_seconds",
            "1 to 604800",
            "stickiness of 0 seconds",
        ),
        case(
            "redirect: {host: m.com, §status: HTTP_302, status_code: HTTP_301}",
            "unknown-key",
            ".redirect.status",
            "did you mean status_code?",
            "a misspelt redirect key",
        ),
        case(
            "§redirect: {host: m.com}",
            "missing-key",
            ".redirect",
            "status_code is missing",
            "a redirect without a status",
        ),
        case(
            "redirect: {host: m.com, status_code: §302}",
            "unknown-value",
            ".redirect.status_code",
            "HTTP_302",
            "a status as a number",
        ),
        case(
            "§redirect: {query: a=b, status_code: HTTP_302}",
            "redirect-loop",
            ".redirect",
            "leads to itself",
            "a redirect of the query only",
        ),
        case(
            "§redirect: {path: '/#{path}', host: '#{host}', status_code: HTTP_302}",
            "redirect-loop",
            ".redirect",
            "leads to itself",
            "a redirect to the same place in other words",
        ),
        case(
            "redirect:\n  host: m.com\n  status_code: HTTP_302\n  §query: #{query}",
            "wrong-type",
            ".redirect.query",
            'quote it, "#{query}"',
            "a placeholder that is a comment",
        ),
        case("redirect: {port: §0, status_code: HTTP_302}", "out-of-range", ".redirect.port", "1 to 65535", "port 0"),
        case(
            "redirect: {port: §'#{host}', status_code: HTTP_302}",
            "unknown-value",
            ".redirect.port",
            "#{port}",
            "a wrong placeholder for a port",
        ),
        case(
            "redirect: {path: §a, status_code: HTTP_302}",
            "invalid-value",
            ".redirect.path",
            "begin with /",
            "a path without a slash",
        ),
        case(
            "redirect: {path: §/a%20, status_code: HTTP_302}", "invalid-value", ".redirect.path", "%", "an encoded path"
        ),
        case(
            "redirect: {path: §'/#{query}', status_code: HTTP_302}",
            "invalid-placeholder",
            ".redirect.path",
            "#{path}",
            "a query in a path",
        ),
        case(
            "redirect: {path: §'/#{path}/#{path}', status_code: HTTP_302}",
            "invalid-placeholder",
            ".redirect.path",
            "twice",
            "a placeholder twice",
        ),
        case(
            "redirect: {host: m.com, query: §'#{nothing}', status_code: HTTP_302}",
            "invalid-placeholder",
            ".redirect.query",
            "#{query}",
            "an unknown placeholder",
        ),
        case(
            "redirect: {host: m.com, query: §'?a', status_code: HTTP_302}",
            "invalid-value",
            ".redirect.query",
            "by itself",
            "a query with its mark",
        ),
        case(
            "redirect: {host: §'m.com:80', status_code: HTTP_302}",
            "invalid-value",
            ".redirect.host",
            "port",
            "a port in a redirect host",
        ),
        case(
            "redirect: {protocol: §https, status_code: HTTP_302}",
            "unknown-value",
            ".redirect.protocol",
            "did you mean HTTPS?",
            "a protocol in lower case",
        ),
        case(
            "fixed-response: {status_code: §302}",
            "out-of-range",
            ".fixed-response.status_code",
            "use redirect",
            "a fixed 302",
        ),
        case(
            "fixed-response: {status_code: §199}",
            "out-of-range",
            ".fixed-response.status_code",
            "200 to 599",
            "a fixed 199",
        ),
        case("§fixed-response: {}", "missing-key", ".fixed-response", "status_code", "no status"),
        case(
            "fixed-response: {status_code: 200, content_type: §text/xml}",
            "unknown-value",
            ".fixed-response.content_type",
            "text/html",
            "a content type that is not one of five",
        ),
        case(
            f"fixed-response: {{status_code: 200, message_body: §{'a' * 1025}}}",
            "too-long",
            ".fixed-response.message_body",
            "at most 1024",
            "a body of 1025 characters",
        ),
        case(
            "forward: monolith\n§fixed-response: {status_code: 200}",
            "several-actions",
            ".fixed-response",
            "cannot stand together",
            "two actions",
        ),
        case(
            "fixed-response: {status_code: 200}\n§stickiness: {enabled: false}",
            "conflicting-keys",
            ".stickiness",
            "belongs to forward",
            "stickiness without a forward",
        ),
        case("forward: monolith\n§jwt: {}", "unknown-key", ".jwt", "unknown key", "an unknown action"),
    ],
)
def test_a_bad_action(action: str, code: str, path: str, says: str) -> None:
    """alb.md 3: what each action accepts."""
    expect_one(table_with_action(action), code, RULE + path, says)


@pytest.mark.parametrize(
    ("transform", "code", "path", "says"),
    [
        case("§url-rewrite: {regex: ^/a}", "missing-key", ".url-rewrite", "replace is missing", "no replacement"),
        case("§url-rewrite: {replace: /a}", "missing-key", ".url-rewrite", "regex is missing", "no regex"),
        case("url-rewrite: {regex: §'', replace: /a}", "empty-value", ".url-rewrite.regex", "empty", "an empty regex"),
        case(
            f"url-rewrite: {{regex: §{'a' * 1025}, replace: /a}}",
            "too-long",
            ".url-rewrite.regex",
            "at most 1024",
            "a regex of 1025 characters",
        ),
        case(
            f"url-rewrite: {{regex: a, replace: §{'a' * 1025}}}",
            "too-long",
            ".url-rewrite.replace",
            "at most 1024",
            "a replacement of 1025 characters",
        ),
        case(
            "url-rewrite: {regex: §(a, replace: /}",
            "invalid-regex",
            ".url-rewrite.regex",
            "missing )",
            "no regex at all",
        ),
        case(
            "host-header-rewrite: {regex: §'(?=a)', replace: b}",
            "unsupported-regex",
            ".host-header-rewrite.regex",
            "lookahead",
            "a construct that the load balancer has not",
        ),
        case(
            "url-rewrite: {regex: ^/(a), replace: §/$2}",
            "invalid-value",
            ".url-rewrite.replace",
            "the regex has 1 group",
            "a group that is not there",
        ),
        case(
            "url-rewrite: {regex: ^/a, replace: §/$0}",
            "invalid-value",
            ".url-rewrite.replace",
            "groups count from $1",
            "group 0",
        ),
        case(
            "url-rewrite: {regex: ^/a, replace: §/a b}",
            "invalid-character",
            ".url-rewrite.replace",
            "percent-encode it",
            "a blank in a path",
        ),
        case(
            'host-header-rewrite: {regex: ^a, replace: §"b\\r\\nX: 1"}',
            "invalid-character",
            ".host-header-rewrite.replace",
            "no Host can hold",
            "a line end in a host",
        ),
        case(
            "§{url-rewrite: {regex: a, replace: /}, host-header-rewrite: {regex: a, replace: b}}",
            "exactly-one-key",
            "",
            "exactly one key",
            "two types in one",
        ),
        case("§path-rewrite: {regex: a, replace: b}", "unknown-key", ".path-rewrite", "unknown key", "an unknown type"),
    ],
)
def test_a_bad_transform(transform: str, code: str, path: str, says: str) -> None:
    """alb.md 4.1: one of each type, 1024 characters, RE2, groups that exist."""
    text = table_with_action(f"forward: monolith\ntransforms:\n  - {transform}")
    problems = problems_of(text.replace(MARK, ""))

    assert (code, RULE + ".transforms[0]" + path) in [(problem.code, problem.place.path) for problem in problems]
    if code not in ("exactly-one-key", "unknown-key"):
        expect_one(text, code, RULE + ".transforms[0]" + path, says)


def test_two_transforms_of_one_type() -> None:
    rewrite = "url-rewrite: {regex: a, replace: b}"
    text = table_with_action(f"forward: monolith\ntransforms:\n  - {rewrite}\n  - §{rewrite}")

    expect_one(text, "duplicate-transform", RULE + ".transforms[1].url-rewrite", "comes more than once")


@pytest.mark.parametrize(
    ("group", "code", "path", "says"),
    [
        case("targets: [§localhost:8000]", "invalid-target", ".targets[0]", "write http://", "no scheme"),
        case("targets: [§http://localhost]", "invalid-target", ".targets[0]", "add :80", "no port"),
        case("targets: [§https://localhost]", "invalid-target", ".targets[0]", "add :443", "no port with https"),
        case("targets: [§http://localhost:0]", "invalid-target", ".targets[0]", "1 to 65535", "port 0"),
        case("targets: [§http://localhost:99999999]", "invalid-target", ".targets[0]", "1 to 65535", "a huge port"),
        case("targets: [§http://localhost:80/a]", "invalid-target", ".targets[0]", "no path", "a path"),
        case("targets: [§http://u:p@localhost:80]", "invalid-target", ".targets[0]", "names a user", "a user"),
        case("targets: [§ftp://localhost:80]", "invalid-target", ".targets[0]", "write http://", "another scheme"),
        case("targets: [§http://1.2.3:80]", "invalid-target", ".targets[0]", "no IPv4", "half an address"),
        case("targets: [§'http://[::g]:80']", "invalid-target", ".targets[0]", "write http://", "no IPv6 address"),
        case("targets: [http://a:1, §http://A:1]", "duplicate-target", ".targets[1]", "already", "a target twice"),
        case("targets: §http://a:1", "wrong-type", ".targets", "a list of targets", "a target without its list"),
        case(
            "targets: [http://a:1]\n§healthcheck: {}", "unknown-key", ".healthcheck", "health_check?", "a misspelt key"
        ),
        case(
            "targets: [http://a:1]\nhealth_check: {interval_seconds: §301}",
            "out-of-range",
            ".health_check.interval_seconds",
            "5 to 300 (seconds)",
            "an interval of 301 seconds",
        ),
        case(
            "targets: [http://a:1]\nhealth_check: {interval_seconds: §5}",
            "timeout-not-below-interval",
            ".health_check.interval_seconds",
            "5 (its default)",
            "the default timeout at a short interval",
        ),
        case(
            "targets: [http://a:1]\nhealth_check: {timeout_seconds: §30}",
            "timeout-not-below-interval",
            ".health_check.timeout_seconds",
            "smaller than",
            "a timeout as long as the interval",
        ),
        case(
            "targets: [http://a:1]\nhealth_check: {interval_seconds: 5, timeout_seconds: §5s}",
            "wrong-type",
            ".health_check.timeout_seconds",
            "2 to 120",
            "a timeout with a unit: one problem, not two",
        ),
        case(
            "targets: [http://a:1]\nhealth_check: {healthy_threshold_count: §1}",
            "out-of-range",
            ".health_check.healthy_threshold_count",
            "2 to 10",
            "a threshold of 1",
        ),
        case(
            "targets: [http://a:1]\nhealth_check: {path: §health}",
            "invalid-value",
            ".health_check.path",
            "begins with /",
            "a path without a slash",
        ),
        case(
            "targets: [http://a:1]\nhealth_check: {matcher: §200-500}",
            "invalid-value",
            ".health_check.matcher",
            "200 to 499",
            "a matcher beyond 499",
        ),
        case(
            "targets: [http://a:1]\nhealth_check: {matcher: §299-200}",
            "invalid-value",
            ".health_check.matcher",
            "200 to 499",
            "a matcher the wrong way round",
        ),
        case(
            "targets: [http://a:1]\nhealth_check: {port: §traffic}",
            "unknown-value",
            ".health_check.port",
            "traffic-port",
            "an unknown word for a port",
        ),
        case(
            "targets: [http://a:1]\nattributes: {deregistration_delay.timeout_seconds: §3601}",
            "out-of-range",
            ".attributes.deregistration_delay.timeout_seconds",
            "0 to 3600",
            "a delay of 3601 seconds",
        ),
        case(
            "targets: [http://a:1]\nattributes: {slow_start.duration_seconds: §10}",
            "out-of-range",
            ".attributes.slow_start.duration_seconds",
            "30 to 900",
            "a slow start of 10 seconds",
        ),
        case(
            "targets: [http://a:1]\nattributes: {slow_start.duration_seconds: §901}",
            "out-of-range",
            ".attributes.slow_start.duration_seconds",
            "0 to 900",
            "a slow start of 901 seconds",
        ),
        case(
            "targets: [http://a:1]\nattributes: {load_balancing.algorithm.type: §least_connections}",
            "unknown-value",
            ".attributes.load_balancing.algorithm.type",
            "least_outstanding_requests",
            "an unknown algorithm",
        ),
        case(
            "targets: [http://a:1]\nattributes: {load_balancing.algorithm.anomaly_mitigation: §on}",
            "conflicting-keys",
            ".attributes.load_balancing.algorithm.anomaly_mitigation",
            "weighted_random",
            "anomaly mitigation with round robin",
        ),
        case(
            "targets: [http://a:1]\nattributes: {stickiness.lb_cookie.duration_seconds: §604801}",
            "out-of-range",
            ".attributes.stickiness.lb_cookie.duration_seconds",
            "1 to 604800",
            "a stickiness of more than a week",
        ),
        case(
            "targets: [http://a:1]\n§attributes: {stickiness.enabled: true, stickiness.type: app_cookie}",
            "missing-key",
            ".attributes",
            "stickiness.app_cookie.cookie_name",
            "app_cookie without the cookie's name",
        ),
        case(
            "targets: [http://a:1]\nattributes: {stickiness.app_cookie.cookie_name: §a b}",
            "invalid-character",
            ".attributes.stickiness.app_cookie.cookie_name",
            "no cookie name",
            "a cookie name with a blank",
        ),
        case(
            "targets: [http://a:1]\nattributes:\n  stickiness.enabled: true\n"
            "  load_balancing.cross_zone.enabled: §false",
            "conflicting-keys",
            ".attributes.load_balancing.cross_zone.enabled",
            "cross-zone",
            "stickiness without cross-zone",
        ),
        case(
            "targets: [http://a:1]\nattributes:\n"
            "  target_group_health.unhealthy_state_routing.minimum_healthy_targets.count: §0",
            "out-of-range",
            ".attributes.target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
            "1 to 1000",
            "no healthy target needed",
        ),
        case(
            "targets: [http://a:1]\nattributes:\n"
            "  target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage: 50\n"
            "  target_group_health.dns_failover.minimum_healthy_targets.percentage: §49",
            "out-of-range",
            ".attributes.target_group_health.dns_failover.minimum_healthy_targets.percentage",
            "at least 50",
            "DNS failover later than routing",
        ),
        case(
            "targets: [http://a:1]\nattributes: {stickiness.app_cookie.cookie_name: §AWSALBAPP}",
            "invalid-value",
            ".attributes.stickiness.app_cookie.cookie_name",
            "AWSALB",
            "the load balancer's own cookie",
        ),
        case(
            "targets: [http://a:1]\nattributes: {§slow_start.duration: 30}",
            "unknown-key",
            ".attributes.slow_start.duration",
            "did you mean slow_start.duration_seconds?",
            "a misspelt attribute",
        ),
        case("targets: [http://a:1]\nprotocol_version: §HTTP3", "unknown-value", ".protocol_version", "GRPC", "HTTP/3"),
        case(
            "targets: [http://a:1]\nhealth_check: {§matcher: {grpc_code: 12}}",
            "conflicting-keys",
            ".health_check.matcher",
            "protocol_version: GRPC",
            "gRPC codes of a group that speaks HTTP/1.1",
        ),
        case(
            "targets: [http://a:1]\nhealth_check: {matcher: {grpc_code: §100}}",
            "invalid-value",
            ".health_check.matcher.grpc_code",
            "from 0 to 99",
            "a gRPC code over 99",
        ),
        case("targets: []\ntarget_type: §instance", "unknown-value", ".target_type", "ip, lambda", "instance"),
        case("targets: [http://a:1]\nlocal: {§a: b}", "unknown-key", ".local.a", "local", "an unknown local key"),
        case(
            "targets: [http://a:1]\nlocal: {payload: §alb}",
            "not-for-target-type",
            ".local.payload",
            "target_type: lambda",
            "a payload without a function",
        ),
        case(
            "targets: [http://a:1]\nattributes: {lambda.multi_value_headers.enabled: §true}",
            "not-for-target-type",
            ".attributes.lambda.multi_value_headers.enabled",
            "target_type: lambda",
            "lists of values without a function",
        ),
        case(
            "target_type: lambda\ntargets: [§http://localhost:9000]",
            "invalid-target",
            ".targets[0]",
            "its name or its ARN",
            "an address where a function should be",
        ),
        case(
            "targets: [§users]",
            "invalid-target",
            ".targets[0]",
            "http://host:port",
            "a function where an address should be",
        ),
        case(
            "target_type: lambda\n§targets: [a, b]",
            "too-many-targets",
            ".targets",
            "each its own group",
            "two functions",
        ),
        case(
            "target_type: lambda\ntargets: [a]\nprotocol_version: §HTTP1",
            "not-for-target-type",
            ".protocol_version",
            "remove it",
            "a function with a protocol version",
        ),
        case(
            "target_type: lambda\ntargets: [a]\nhealth_check: {port: §80}",
            "not-for-target-type",
            ".health_check.port",
            "remove it",
            "a function with a health check port",
        ),
        case(
            "target_type: lambda\ntargets: [a]\nhealth_check: {interval_seconds: §30}",
            "timeout-not-below-interval",
            ".health_check.interval_seconds",
            "30 (its default)",
            "an interval not over the 30 s that a function has",
        ),
        case(
            "target_type: lambda\ntargets: [a]\nattributes: {deregistration_delay.timeout_seconds: §1}",
            "not-for-target-type",
            ".attributes.deregistration_delay.timeout_seconds",
            "type ip",
            "a function with a deregistration delay",
        ),
        case(
            "target_type: lambda\ntargets: [a]\nlocal: {endpoint: §localhost:9000}",
            "invalid-value",
            ".local.endpoint",
            "http://host:port",
            "an endpoint without http",
        ),
        case(
            "target_type: lambda\ntargets: [a]\nlocal: {payload: §1.0}",
            "wrong-type",
            ".local.payload",
            'quote it, "1.0"',
            "a payload format without quotes",
        ),
    ],
)
def test_a_bad_target_group(group: str, code: str, path: str, says: str) -> None:
    """alb.md 5: targets, health checks, attributes."""
    text, line, column = marked(table_with_group(group))
    problems = [problem for problem in problems_of(text) if problem.severity == "error"]

    assert [(problem.code, problem.place.path) for problem in problems] == [(code, GROUP + path)]
    assert (line, column) == (problems[0].place.line, problems[0].place.column)
    assert says in problems[0].message


@pytest.mark.parametrize(
    ("text", "code", "path", "says"),
    [
        case("§", "empty-file", "", "version: 1", "an empty file"),
        case("§- a\n", "wrong-type", "", "a list stands here", "a list"),
        case("§hello\n", "wrong-type", "", '"hello" is not a table', "a word"),
        case(SHORT + "§---\nversion: 1\n", "several-documents", "", "one document", "two documents"),
        case(SHORT + "§version: 1\n", "duplicate-key", "version", "line 1", "a key twice"),
        case(SHORT + "§listners: []\n", "unknown-key", "listners", "did you mean listeners?", "a misspelt key"),
        case(SHORT + "§<<: {a: b}\n", "merge-key", "", "write the keys out", "a merge key"),
        case(SHORT.replace("version: 1", "version: §2"), "unknown-version", "version", "reads version 1", "version 2"),
        case(SHORT.replace("version: 1", "version: §one"), "wrong-type", "version", "whole number", "version one"),
        case("§" + SHORT.removeprefix("version: 1\n"), "missing-key", "", "version is missing", "no version"),
        case("version: 1\nlisteners:§\n", "wrong-type", "listeners", "no value", "no listeners"),
        case("version: 1\n§listeners: []\n", "empty-list", "listeners", "empty", "an empty list of listeners"),
        case(
            SHORT + "attributes: {§idle_timeout: 60}\n",
            "unknown-key",
            "attributes.idle_timeout",
            "idle_timeout.timeout_seconds?",
            "a misspelt attribute",
        ),
        case("version: 1\n§\tlisteners: []\n", "yaml-syntax", "", "not with tabs", "a tab"),
        case("version: 1\nlisteners: [\n§", "yaml-syntax", "", "flow", "an open bracket"),
        case(
            "version: 1\nlisteners:\n  - {port: 80\ntarget_groups§: {}\n",
            "yaml-syntax",
            "",
            "while parsing a flow mapping from line 3 on",
            "an open brace is named by its line",
        ),
        case("version: 1\nlisteners: §*web\n", "yaml-syntax", "listeners", "must be quoted", "an alias of nothing"),
        case("version: 1\nhost: *§.example.com\n", "yaml-syntax", "", '"*.example.com"', "a leading wildcard"),
        case("version: 1\nname: §@web\n", "yaml-syntax", "", "quote the value", "a reserved character"),
        case("version: 1\nname: §\x07\n", "yaml-syntax", "", "U+0007", "a control character"),
        case("version: 1\na: {b: #{path}}\n§", "yaml-syntax", "", 'quote it, "#{path}"', "a comment that eats a brace"),
        case(SHORT + "? §[a]\n: b\n", "wrong-type", "", "a plain word", "a list for a key"),
        case(SHORT.replace("version: 1", "version: §!!int 1"), "yaml-tag", "version", "!!int", "a tag"),
    ],
)
def test_a_bad_document(text: str, code: str, path: str, says: str) -> None:
    """YAML that is none, or is no table."""
    expect_one(text, code, path, says)


@pytest.mark.parametrize(
    ("attributes", "code", "path", "says"),
    [
        case(
            "idle_timeout.timeout_seconds: §0",
            "out-of-range",
            "idle_timeout.timeout_seconds",
            "1 to 4000",
            "no idle time",
        ),
        case(
            "client_keep_alive.seconds: §59", "out-of-range", "client_keep_alive.seconds", "60 to", "a short keep-alive"
        ),
        case(
            "routing.http.xff_header_processing.mode: §Append",
            "unknown-value",
            "routing.http.xff_header_processing.mode",
            "did you mean append?",
            "a mode with a capital",
        ),
        case(
            'routing.http.xff_client_port.enabled: §"true"',
            "wrong-type",
            "routing.http.xff_client_port.enabled",
            "without quotes",
            "a boolean in quotes",
        ),
        case(
            "routing.http.xff_client_port.enabled: §yes",
            "wrong-type",
            "routing.http.xff_client_port.enabled",
            "true or false",
            "yes for true",
        ),
        case(
            "routing.http.desync_mitigation_mode: §strict",
            "unknown-value",
            "routing.http.desync_mitigation_mode",
            "strictest",
            "another desync mode",
        ),
    ],
)
def test_a_bad_load_balancer_attribute(attributes: str, code: str, path: str, says: str) -> None:
    """alb.md 11: attribute keys and their values."""
    expect_one(table_with_attributes(attributes), code, f"attributes.{path}", says)


LISTENER = "version: 1\ntarget_groups: {monolith: {targets: [http://a:1]}}\nlisteners:\n"


@pytest.mark.parametrize(
    ("listeners", "code", "path", "says"),
    [
        case("  - §default: {forward: monolith}", "missing-key", "[0]", "port is missing", "no port"),
        case("  - §port: 80\n    rules: []", "missing-key", "[0]", "default is missing", "no default"),
        case("  - port: §0\n    default: {forward: monolith}", "out-of-range", "[0].port", "1 to 65535", "port 0"),
        case(
            "  - port: 80\n    §default: {}", "missing-action", "[0].default", "give one of forward", "an empty default"
        ),
        case(
            "  - {port: 80, default: {forward: monolith}}\n  - {port: §80, name: b, default: {forward: monolith}}",
            "port-in-use",
            "[1].port",
            "in line 4",
            "a port twice",
        ),
        case(
            "  - {port: 80, name: a, default: {forward: monolith}}\n"
            "  - {port: 81, name: §a, default: {forward: monolith}}",
            "duplicate-name",
            "[1].name",
            "in line 4",
            "a listener name twice",
        ),
        case(
            "  - port: 80\n    default: {forward: monolith}\n    rules:\n"
            "      - {priority: 5, forward: monolith, conditions: [{path-pattern: /b}]}\n"
            "      - {priority: §5, name: c, forward: monolith, conditions: [{path-pattern: /a}]}",
            "priority-in-use",
            "[0].rules[1].priority",
            "priority 5 is taken by 'rule-5' in line 7",
            "a priority twice",
        ),
        case(
            "  - port: 80\n    default: {forward: monolith}\n    rules:\n"
            "      - {priority: 2, name: rule-1, forward: monolith, conditions: [{path-pattern: /b}]}\n"
            "      - §{priority: 1, forward: monolith, conditions: [{path-pattern: /a}]}",
            "duplicate-name",
            "[0].rules[1].name",
            "'rule-1' in line 7",
            "a default name that is taken",
        ),
        case(
            "  - port: 80\n    default: {forward: monolith, §transforms: []}",
            "unknown-key",
            "[0].default.transforms",
            "unknown key",
            "transforms on a default",
        ),
        case(
            "  - port: 80\n    default: {forward: monolith}\n"
            "    attributes: {routing.http.response.x_frame_options.header_value: §''}",
            "empty-value",
            "[0].attributes.routing.http.response.x_frame_options.header_value",
            "empty",
            "an empty response header",
        ),
    ],
)
def test_a_bad_listener(listeners: str, code: str, path: str, says: str) -> None:
    """alb.md 1.1: ports, names, defaults; alb.md 1.2: priorities."""
    expect_one(LISTENER + listeners + "\n", code, f"listeners{path}", says)


_TWO_GROUPS = """\
version: 1
listeners: [{port: 8080, default: {forward: {a: 1, §b: 0}%s}}]
target_groups:
  a: {targets: [http://a:1]}
  b: {targets: [http://b:1], attributes: {stickiness.enabled: true%s}}
"""
_APP_COOKIE = ", stickiness.type: app_cookie, stickiness.app_cookie.cookie_name: sid"


@pytest.mark.parametrize(
    ("text", "code", "path", "says"),
    [
        case(
            _TWO_GROUPS % ("", ""),
            "group-stickiness-required",
            "listeners[0].default.forward.b",
            "duration_seconds",
            "target stickiness in a forward to several groups without its own",
        ),
        case(
            _TWO_GROUPS % (", stickiness: {duration_seconds: 60}", _APP_COOKIE),
            "app-cookie-with-weights",
            "listeners[0].default.forward.b",
            "lb_cookie",
            "app_cookie in a forward to several groups",
        ),
    ],
)
def test_a_forward_to_several_groups_with_stickiness(text: str, code: str, path: str, says: str) -> None:
    """alb.md 3.1, 5.5."""
    expect_one(text, code, path, says)


def test_target_stickiness_goes_with_group_stickiness_and_with_a_single_group() -> None:
    """alb.md 3.1."""
    both = _TWO_GROUPS % (", stickiness: {duration_seconds: 60}", "")
    one = both.replace("{a: 1, §b: 0}, stickiness: {duration_seconds: 60}", "b")
    assert problems_of(both.replace(MARK, "")) == []
    assert [problem.code for problem in problems_of(one)] == ["unused-target-group"]


def test_the_mark_is_nothing_a_table_has() -> None:
    assert MARK not in SHORT
