"""What human output on a terminal may have: colour, unless NO_COLOR says no."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

_CODES = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


def has_colour(stream: TextIO, env: Mapping[str, str] = os.environ) -> bool:
    """Whether `stream` is a terminal that may be coloured (no-color.org: any value but the empty one)."""
    return stream.isatty() and not env.get("NO_COLOR") and env.get("TERM") != "dumb"


class Paint:
    """Colours words for one stream, or leaves them alone."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.is_on = has_colour(sys.stdout if stream is None else stream)

    def __call__(self, text: str, colour: str) -> str:
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.is_on else text


def visible(text: str) -> str:
    """`text` with everything escaped that could move a cursor or hide; for what comes from outside."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines with aligned columns, the last one ragged."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
