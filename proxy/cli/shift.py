"""`strangler shift RULE GROUP=WEIGHT...`: changes weights in routes.yaml, in place; a running gateway takes it up."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from proxy.cli.files import STANDARD_INPUT, read_table
from proxy.cli.flags import UsageError
from proxy.cli.problems import render
from proxy.cli.terminal import Paint
from proxy.config.edit import EditError, set_weights
from proxy.config.files import replace_file
from proxy.config.load import load_with_warnings
from proxy.config.problem import ConfigError
from proxy.runtime import weights

Weights = dict[tuple[str, str, str], int]
"""(listener, rule, target group) to weight."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rule", metavar="RULE", help="name of the rule, or default")
    parser.add_argument("weights", metavar="GROUP=WEIGHT", nargs="+", help="weights from 0 to 999")
    parser.add_argument("--config", metavar="FILE", default="routes.yaml", help="the table")
    parser.add_argument("--listener", metavar="NAME", help="needed when several listeners have such a rule")


def run(args: argparse.Namespace) -> int:
    """Return 0 when the file says so now, 1 if it would be (or was before) no good table, 2 for a usage error."""
    path = Path(args.config)
    wanted: dict[str, int] = {}
    for group, weight in map(_weight, args.weights):
        if group in wanted:
            raise UsageError(f"{group} has two weights, {wanted[group]} and {weight}: give one")
        wanted[group] = weight
    text = shown = _text(path)
    try:
        before, known = load_with_warnings(text, os.environ, str(path))
        shown = set_weights(text, args.rule, wanted, listener=args.listener)
        after, warnings = load_with_warnings(shown, os.environ, str(path))
    except EditError as error:
        raise UsageError(str(error)) from None
    except ConfigError as error:
        print(render(error.problems, str(path), shown, Paint(sys.stderr)), end="", file=sys.stderr)
        print(f"strangler shift: {path} is left as it was", file=sys.stderr)
        return 1
    replace_file(path, shown)
    there = {(problem.code, problem.place.path) for problem in known}
    new = [problem for problem in warnings if (problem.code, problem.place.path) not in there]
    print(render(new, str(path), shown, Paint(sys.stderr)), end="", file=sys.stderr)
    print("\n".join(_report(weights(before), weights(after), args.rule, args.listener)))
    print(f"written to {path.resolve()}: a gateway that serves this file follows")
    return 0


def _text(path: Path) -> str:
    if str(path) == STANDARD_INPUT:
        raise UsageError("--config -: standard input cannot be changed in place; name a file")
    try:
        return read_table(str(path)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}: byte {error.start} is not UTF-8") from None


def _report(old: Weights, new: Weights, rule: str, listener: str | None) -> list[str]:
    """A line a target group of the rule: `users: monolith 90 -> 50, 50 % of its requests`."""
    keys = [key for key in new if key[1] == rule and listener in (None, key[0])]
    total = sum(new[key] for key in keys)
    lines = []
    for key in keys:
        was, now = old.get(key, 0), new[key]
        change = str(now) if was == now else f"{was} -> {now}"
        share = f"{100 * now / total:.3g} % of its requests" if total else "every request gets a 503"
        lines.append(f"{rule}: {key[2]} {change}, {share}")
    return lines


def _weight(argument: str) -> tuple[str, int]:
    group, equals, weight = argument.partition("=")
    if not equals or not group or not weight.isdecimal() or not weight.isascii() or int(weight) > 999:
        raise UsageError(f"{argument!r} is not GROUP=WEIGHT with a weight from 0 to 999")
    return group, int(weight)
