"""The ELBv2 API's error codes beside ours (alb.md 12)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import proxy
from proxy.config.api_codes import API_CODES, api_code
from proxy.config.problem import Place, Problem

SOURCES = Path(proxy.__file__).parent
CODE_AT = {
    "Fault": 0,
    "CertificateError": 0,
    "error": 0,
    "warning": 0,
    "_error": 0,
    "_warning": 0,
    "_warn": 0,
    "Problem": 1,
    "_clashes": 3,
}
"""What makes a problem, and which of its arguments is the code."""


def codes_in(source: str) -> Iterator[str]:
    """Every constant that is the code of a problem; what passes on a code that it was given is left out."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            names = node.args.kwonlyargs
            for name, default in zip(names, node.args.kw_defaults, strict=True):
                if name.arg == "too_long" and isinstance(default, ast.Constant):
                    yield default.value
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) in ("logger", "parser"):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        arguments = [keyword.value for keyword in node.keywords if keyword.arg in ("too_long", "code")]
        arguments += node.args[CODE_AT[name] : CODE_AT[name] + 1] if name in CODE_AT else []
        for argument in arguments:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value


def every_code() -> set[str]:
    return {code for path in SOURCES.rglob("*.py") for code in codes_in(path.read_text())}


def test_every_code_has_an_entry_and_every_entry_is_a_code() -> None:
    assert set(API_CODES) == every_code()


def test_codes_are_found_wherever_they_are_written() -> None:
    source = """
report.error("a", place, message)
_error("b", place, message)
Fault("c", message)
Problem("warning", "d", place, message)
_clashes(items, key, "port", "e", "port")
MapOf(key, item, too_long="f")
logger.error("not a code")
report.error(code, place, message)
"""

    assert set("abcdef") == set(codes_in(source))


@pytest.mark.parametrize(
    ("code", "path", "expected"),
    [
        ("priority-in-use", "listeners[0].rules[1].priority", "PriorityInUse"),
        ("too-many-rules", "listeners", "TooManyRules"),
        ("port-in-use", "listeners[1].port", "DuplicateListener"),
        ("unknown-target-group", "listeners[0].default.forward", "TargetGroupNotFound"),
        ("too-many-wildcards", "listeners[0].rules[0].conditions", "ValidationError"),
        ("too-long", "listeners[0].rules[0].conditions[0].path-pattern", "ValidationError"),
        ("too-long", "listeners[0].rules[0].fixed-response.message_body", "InvalidLoadBalancerAction"),
        ("invalid-value", "listeners[0].default.redirect.path", "InvalidLoadBalancerAction"),
        ("too-long", "listeners[0].rules[0].name", None),
        ("wrong-type", "listeners[0].rules[0].migration", None),
        ("yaml-syntax", "", None),
        ("never-wins", "listeners[0].rules[0]", None),
        ("of-tomorrow", "", None),
    ],
)
def test_what_the_api_would_answer(code: str, path: str, expected: str | None) -> None:
    assert expected == api_code(Problem("error", code, Place(1, 1, path), ""))
