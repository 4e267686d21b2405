"""Flags from the environment: `--admin-port` is also `STRANGLER_ADMIN_PORT`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

PREFIX = "STRANGLER_"

_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}


class UsageError(Exception):
    """The command cannot do what is asked; the message names the place and the remedy. Exit code 2."""


def port_number(text: str) -> int:
    """The type of a flag that is a TCP port; 0 stands for any free one."""
    if text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")


class Flags:
    """Fills in the flags that were not given: from the environment, else their default.

    An empty variable counts as unset, since that is what compose files pass on. A flag that may be given several
    times takes one value a line.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.flags: dict[argparse.Action, Any] = {}

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Take over the defaults of a parser's flags, and say the variables in its help."""
        for action in parser._actions:  # argparse has no public list of them
            if not action.option_strings or isinstance(action, argparse._HelpAction):
                continue
            self.flags[action] = action.default
            default = ""
            said = f"({action.default})" in (action.help or "")
            if action.default not in (None, False, "", argparse.SUPPRESS) and not said:
                default = f"default {action.default}, "
            action.help = f"{action.help or ''} [{default}env {variable(action)}]".strip()
            action.default = argparse.SUPPRESS

    def complete(self, args: argparse.Namespace) -> None:
        """Set what the command line left open; raise UsageError for a bad value in the environment."""
        for action, default in self.flags.items():
            if hasattr(args, action.dest):
                continue
            text = self.env.get(variable(action), "")
            setattr(args, action.dest, _value(action, text) if text else _default(action, default))


def variable(action: argparse.Action) -> str:
    """The environment variable of a flag."""
    return PREFIX + action.dest.upper()


def _default(action: argparse.Action, default: Any) -> Any:
    if isinstance(default, str) and callable(action.type):
        return action.type(default)
    return default


def _value(action: argparse.Action, text: str) -> Any:
    if action.nargs == 0:
        known = _BOOLEANS.get(text.lower())
        if known is None:
            raise UsageError(f"{variable(action)}={text!r} is neither 1, true, 0 nor false")
        return known
    if isinstance(action, argparse._AppendAction):
        return [_convert(action, line) for line in text.splitlines() if line]
    return _convert(action, text)


def _convert(action: argparse.Action, text: str) -> Any:
    name = variable(action)
    value: Any = text
    if callable(action.type):
        try:
            value = action.type(text)
        except argparse.ArgumentTypeError as error:
            raise UsageError(f"{name}: {error}") from None
        except (TypeError, ValueError):
            kind = getattr(action.type, "__name__", "value")
            raise UsageError(f"{name}={text!r} is not a valid {kind}") from None
    if action.choices is not None and value not in action.choices:
        raise UsageError(f"{name}={text!r} is not one of {', '.join(map(str, action.choices))}")
    return value
