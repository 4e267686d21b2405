"""JSON as RFC 8259 has it. Python's own reader also takes NaN and Infinity, which no other takes from us."""

from __future__ import annotations

import json
from typing import Any


def json_value(text: str | bytes) -> Any:
    """The value; raise ValueError for what is no JSON, no UTF-8, or nested deeper than can be read."""
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except RecursionError as error:
        raise ValueError(str(error)) from error


def refuse_constant(name: str) -> None:
    """For `json.loads(parse_constant=)`."""
    raise ValueError(f"{name} is not JSON")
