"""The command `strangler`: one module a verb, imported only when its verb is asked for.

A verb's module has `add_arguments(parser)` and `run(args) -> int`, which returns the exit code.
"""

from __future__ import annotations

import io
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from proxy.cli.flags import Flags, UsageError

INTERRUPTED = 130
BROKEN_PIPE = 141
USAGE = 2

VERBS = {
    "serve": "run the gateway",
    "check": "validate a table",
    "explain": "tell which rule takes a request, and why each earlier one does not",
    "status": "show rules, weights, target health and the last reload of a running gateway",
    "top": "watch what transactions cost in a running gateway",
    "candidates": "tell what to carve out of the monolith next, and why",
    "shift": "change the weights of a rule in routes.yaml, in place",
    "functions": "run functions as Lambda does, behind its own API",
    "demo": "run a monolith, its extracted services and the gateway, with traffic",
    "schema": "print the JSON Schema of routes.yaml",
    "version": "print the version",
}
"""Verb to its help. The module is `proxy.cli.<verb>`."""


class Verb(Protocol):
    """What a verb's module holds."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the verb's arguments; flags get their environment variable by themselves."""

    def run(self, args: Namespace) -> int:
        """Do it and return the exit code. May raise UsageError."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; 2 for a usage error, 130 after Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _main(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _discard_stdout()
        return BROKEN_PIPE
    except SystemExit as stop:  # argparse ends this way, for --help too
        return stop.code if isinstance(stop.code, int) else USAGE
    return code


def _main(argv: list[str]) -> int:
    parser = ArgumentParser(
        prog="strangler",
        description="A local load balancer with ALB listener rules.",
        epilog="Each flag can be given as an environment variable, shown in the help of its verb; the flag wins.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    # No option before the verb takes a value, so the first word is the verb.
    chosen = next((word for word in argv if not word.startswith("-")), None)
    flags = Flags(os.environ)
    for name, about in VERBS.items():
        verb_parser = verbs.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        if name == chosen:
            _module(name).add_arguments(verb_parser)
            flags.prepare(verb_parser)
    args = parser.parse_args(argv)
    verb = "version" if args.version else args.verb
    if verb is None:
        parser.error(f"a verb is missing: one of {', '.join(VERBS)}")
    try:
        flags.complete(args)
        return _module(verb).run(args)
    except UsageError as error:
        print(f"strangler {verb}: {error}", file=sys.stderr)
        return USAGE


def _module(verb: str) -> Verb:
    return cast(Verb, import_module(f"proxy.cli.{verb}"))


def _discard_stdout() -> None:
    """Nobody reads any more; what is still buffered must not fail again when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
