"""docs/check.md: every code of ours stands there, and every example in it gets exactly its code."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

import pytest

from proxy.config.api_codes import API_CODES
from proxy.config.load import MAX_BYTES, load_with_warnings
from proxy.config.problem import ConfigError, Problem
from proxy.rules.coverage import analyse

PAGE = (Path(__file__).parents[2] / "docs" / "check.md").read_text()
WITHOUT_EXAMPLE = {
    "analysis-incomplete",
    "bad-certificate",
    "bad-openapi",
    "bad-private-key",
    "certificate-not-valid",
    "encrypted-key",
    "invalid-condition-value",
    "key-mismatch",
    "port-unavailable",
    "shared-session-cookie",
    "tls-unavailable",
    "too-many-certificates",
    "unreadable",
    "worker-failed",
}
ENVIRONMENT = {"LONG": "x" * 1025, "SECRET": "s3cret"}
CLAIMS = ", ".join(f"{{name: c{number}, format: single-string, values: [x]}}" for number in range(11))

COMPANIONS = {"unused-target-group", "not-supported-yet"}
"""What an example may get besides: not every group is used, and not all of the language has an effect yet."""

UNUSED = "`x: {targets: [http://a:1]}`"

GROUPS = """\
  monolith: {targets: [http://a:1]}
  users: {targets: [http://a:2]}
  sticky: {targets: [http://a:3], attributes: {stickiness.enabled: true}}
  app: {targets: [http://a:4], attributes: {stickiness.enabled: true, stickiness.type: app_cookie,
    stickiness.app_cookie.cookie_name: SESSION}}
"""
GROUPS += "".join(f"  {name}: {{targets: [http://{name}:1]}}\n" for name in "abcdef")
ENDPOINTS = "issuer: https://a.com, " + ", ".join(
    f"{name}_endpoint: https://a.com/{name}" for name in ("authorization", "token", "user_info")
)
HTTPS = "port: 443\n  protocol: HTTPS\n  certificates: [{certificate_file: a.pem, private_key_file: a.key}]"
TABLE = """\
version: 1
listeners:
- port: 80
  default: {forward: {monolith: 1, users: 1, sticky: 1}, stickiness: {duration_seconds: 60}}
  rules: [%s]
target_groups:
"""
FILE = {
    "version": "version: 1",
    "listeners": "listeners: [{port: 80, default: {forward: m}}]",
    "target_groups": "target_groups: {m: {targets: [http://a:1]}}",
}


def in_rules(example: str) -> str:
    lists = re.findall(r"`(.+?)`", example)
    rules = [
        f"{{priority: {number}, forward: monolith, conditions: {conditions}}}"
        for number, conditions in enumerate(lists, start=1)
    ]
    return TABLE % ", ".join(rules) + GROUPS


def in_conditions(example: str) -> str:
    return TABLE % f"{{priority: 1, forward: monolith, conditions: [{code_of(example)}]}}" + GROUPS


def in_actions(example: str) -> str:
    action = code_of(example).replace("CLAIMS", CLAIMS).replace("ENDPOINTS", ENDPOINTS)
    table = TABLE % f"{{priority: 1, conditions: [{{path-pattern: /a}}], {action}}}" + GROUPS
    authenticates = re.search("authenticate-|jwt-validation", action) and "plain: true, " not in action
    return table.replace("port: 80", HTTPS, 1) if authenticates else table.replace("plain: true, ", "")


def in_groups(example: str) -> str:
    groups = code_of(example).replace("}, x: ", "}\n  x: ")
    used = "" if example == UNUSED else "{priority: 1, conditions: [{path-pattern: /a}], forward: x}"
    return TABLE % used + GROUPS + f"  {groups}\n"


def in_file(example: str) -> str | bytes:
    big = {
        "51 listeners": ("listeners", [f"{{port: {port}, default: {{forward: m}}}}" for port in range(1, 52)]),
        "101 target groups": ("target_groups", [f"g{number}: {{targets: [http://a:1]}}" for number in range(101)]),
        "1001 targets in a group": ("target_groups", []),
        "101 rules": ("listeners", []),
    }
    if example == "nothing":
        return ""
    if example == "a byte that is not UTF-8":
        return b"version: \xff"
    if example == "more than the gateway reads":
        return "#" * (MAX_BYTES + 1)
    lines = dict(FILE)
    if example in big:
        key, items = big[example]
        lines[key] = (
            f"{key}: [{', '.join(items)}]"
            if key == "listeners"
            else f"{key}: {{m: {{targets: [http://a:1]}}, {', '.join(items)}}}"
        )
    if example == "101 rules":
        rules = ", ".join(rule(number) for number in range(1, 102))
        lines["listeners"] = f"listeners: [{{port: 80, default: {{forward: m}}, rules: [{rules}]}}]"
    elif example == "1001 targets in a group":
        targets = ", ".join(f"http://a:{port}" for port in range(1, 1002))
        lines["target_groups"] = f"target_groups: {{m: {{targets: [{targets}]}}}}"
    elif example not in big:
        line = re.sub(r"RULE (\d+)", lambda number: rule(int(number[1])), code_of(example))
        lines[line.partition(":")[0]] = line
    return "\n".join(lines.values())


NUMBERS = count(1)


def rule(priority: int) -> str:
    return f"{{name: r{next(NUMBERS)}, priority: {priority}, conditions: [{{path-pattern: /{priority}}}], forward: m}}"


def code_of(example: str) -> str:
    return example.strip("`")


SECTIONS = {"rules": in_rules, "conditions": in_conditions, "actions": in_actions, "groups": in_groups, "file": in_file}


def examples() -> list[object]:
    """(code, table) of every row."""
    found = []
    for name, table in re.findall(r"<!-- (\w+) -->\n\n((?:\|.*\n)+)", PAGE):
        for row in table.splitlines()[2:]:
            code, example, _ = (cell.strip() for cell in row.strip("|").split("|"))
            found.append(pytest.param(code_of(code), SECTIONS[name](example), id=code_of(code)))
    return found


def problems_of(text: str | bytes) -> list[Problem]:
    try:
        config, warnings = load_with_warnings(text, ENVIRONMENT)
    except ConfigError as error:
        return error.problems
    return [*warnings, *analyse(config).problems]


@pytest.mark.parametrize(("code", "text"), examples())
def test_an_example_gets_its_code(code: str, text: str | bytes) -> None:
    assert {code} == {problem.code for problem in problems_of(text)} - (COMPANIONS - {code})


def test_every_code_has_an_example() -> None:
    shown = {example.id for example in examples()}

    assert shown | WITHOUT_EXAMPLE == set(API_CODES)
    assert all(f"`{code}`" in PAGE for code in WITHOUT_EXAMPLE)


def test_the_shown_message_is_the_real_one() -> None:
    """The block near the top, its line break aside."""
    block = re.search(r"```\nroutes.yaml:9:7: warning: (.*?)\n```", PAGE, re.DOTALL)
    config, _ = load_with_warnings(
        "version: 1\nlisteners:\n- port: 80\n  default: {forward: m}\n  rules:\n"
        "  - {name: api, priority: 10, conditions: [{path-pattern: /api/*}], forward: m}\n"
        "  - {name: users, priority: 20, conditions: [{path-pattern: /api/users}], forward: m}\n"
        "target_groups: {m: {targets: [http://a:1]}}\n",
        {},
    )
    (problem,) = analyse(config).problems

    assert block is not None
    assert block[1].replace("\n", " ") == f"{problem.message} [{problem.code}]"
