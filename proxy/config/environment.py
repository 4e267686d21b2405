"""`${NAME}` and `${NAME:-default}` inside a value."""

from __future__ import annotations

import re
from collections.abc import Mapping

REFERENCE = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"
"""A reference as a pattern, for the JSON Schema."""

_BEGIN = "${"
_LONGEST_SHOWN = 60
_ANY = re.compile(r"\$\{([^}]*)(\}?)")
_INSIDE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


def has_reference(text: str) -> bool:
    """Whether `text` asks for the environment at all."""
    return _BEGIN in text


def substitute(text: str, env: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return `text` with its references replaced, and a message for each that cannot be.

    The default counts when NAME is unset or empty, as in a shell. What comes in is not searched again.
    Messages name variables and never show their values.
    """
    faults: list[str] = []

    def replacement(match: re.Match[str]) -> str:
        inside = _INSIDE.fullmatch(match[1])
        shown = match[0][:_LONGEST_SHOWN]
        if not match[2]:
            faults.append(f"{shown} has no closing brace: write ${{NAME}} or ${{NAME:-default}}")
            return ""
        if inside is None:
            faults.append(f"{shown} is not a reference: write ${{NAME}} or ${{NAME:-default}}")
            return ""
        name, default = inside[1], inside[2]
        shown = name[:_LONGEST_SHOWN]
        value = env.get(name, "")
        if value or (name in env and default is None):
            return value
        if default is None:
            faults.append(f"the environment variable {shown} is not set: set it, or write ${{{shown}:-default}}")
            return ""
        return str(default)

    return _ANY.sub(replacement, text), faults
