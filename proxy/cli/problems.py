"""Problems of a table for people: place, message, the line and a caret."""

from __future__ import annotations

import re
from collections.abc import Iterable

from proxy.cli.terminal import Paint, visible
from proxy.config.api_codes import api_code
from proxy.config.problem import Problem
from proxy.config.tree import lines_of

_SECRET = re.compile(r"""(client_secret["']?\s*:\s*)(?!["']?\$\{)[^\s,}][^,}]*""")
_LONGEST_LINE = 200


def render(problems: Iterable[Problem], source: str, text: str, paint: Paint, *, is_table: bool = True) -> str:
    """One block a problem: `FILE:LINE:COLUMN: error: message [code; API: Code]`, the path, the line and a caret.

    Only for a table is there a load balancer's API with a code for it.
    """
    lines = lines_of(text.removeprefix("\ufeff"))
    return "".join(_block(problem, source, lines, paint, is_table=is_table) for problem in problems)


def summary(problems: list[Problem], source: str) -> str:
    """The last line: how many there are of each."""
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    parts = [_count(errors, "error")] if errors else []
    parts += [_count(warnings, "warning")] if warnings else []
    return f"{source}: {'' if errors else 'good, ' if warnings else 'good'}{' and '.join(parts)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _block(problem: Problem, source: str, lines: list[str], paint: Paint, *, is_table: bool) -> str:
    place = problem.place
    severity = paint(problem.severity, "red" if problem.severity == "error" else "yellow")
    where = paint(f"{source}:{place.line}:{place.column}:", "bold")
    api = api_code(problem) if is_table else None
    codes = problem.code if api is None else f"{problem.code}; API: {api}"
    block = f"{where} {severity}: {visible(problem.message)} [{codes}]\n"
    if place.path:
        block += f"    at {visible(place.path)}\n"
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if line.strip() and len(line) <= _LONGEST_LINE and problem.code != "literal-secret":
        shown = _SECRET.sub(r"\1***", line)
        block += f"    {visible(shown.replace(chr(9), ' '))}\n    {' ' * (place.column - 1)}{paint('^', 'green')}\n"
    return block
