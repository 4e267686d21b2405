"""The header X-Amzn-Trace-Id (X-Ray guide)."""

from __future__ import annotations

import re
import secrets
import time

_ROOT = re.compile(r"(?:^|;)\s*Root=([^;]*)")


def root_of(trace_id: str) -> str:
    """The part of the header that all of one trace have in common; empty if it has none."""
    match = _ROOT.search(trace_id)
    return match[1].strip() if match else ""


def new_trace_id() -> str:
    """A trace that begins here and is not sampled."""
    return f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"
