"""Names that a target gives its requests itself, in a response header that clients do not get."""

from __future__ import annotations

import re
from typing import Final

from proxy.http1.head import join_fields, split_fields

_HINT: Final = re.compile(rb"[A-Za-z0-9 ._~:/{}#@*+-]{1,120}")


def hint_of(value: bytes) -> str:
    """The name in this header value; empty when it could not be a label."""
    value = value.strip()
    return value.decode("ascii") if _HINT.fullmatch(value) else ""


def without_hint(block: bytes, name: bytes) -> bytes:
    """Header lines without those of this (lower-case) name."""
    return join_fields([field for field in split_fields(block) if field[0].lower() != name])
