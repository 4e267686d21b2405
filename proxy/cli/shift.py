"""`strangler shift RULE GROUP=WEIGHT...`: changes weights in routes.yaml, in place; a running gateway takes it up."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from proxy.cli.flags import UsageError
from proxy.cli.problems import render
from proxy.cli.terminal import Paint
from proxy.config.edit import EditError, set_weights
from proxy.config.files import replace_file
from proxy.config.load import load, load_with_warnings
from proxy.config.problem import ConfigError
from proxy.runtime import weights


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
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    try:
        before = load(text, os.environ, str(path))
        edited = set_weights(text, args.rule, wanted, listener=args.listener)
        after, _ = load_with_warnings(edited, os.environ, str(path))
    except EditError as error:
        raise UsageError(str(error)) from None
    except ConfigError as error:
        print(render(error.problems, str(path), text, Paint(sys.stderr)), end="", file=sys.stderr)
        print(f"strangler shift: {path} is left as it was", file=sys.stderr)
        return 1
    replace_file(path, edited)
    old, new = weights(before), weights(after)
    for key in sorted(new):
        if key[1] == args.rule and (args.listener in (None, key[0])):
            was = old.get(key, 0)
            print(f"{key[1]}: {key[2]} {was} -> {new[key]}" if was != new[key] else f"{key[1]}: {key[2]} {was}")
    return 0


def _weight(argument: str) -> tuple[str, int]:
    group, equals, weight = argument.partition("=")
    if not equals or not group or not weight.isdecimal() or not weight.isascii() or int(weight) > 999:
        raise UsageError(f"{argument!r} is not GROUP=WEIGHT with a weight from 0 to 999")
    return group, int(weight)
