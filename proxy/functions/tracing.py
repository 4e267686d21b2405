"""The header X-Amzn-Trace-Id (events.md A12)."""

from __future__ import annotations

import secrets
import time


def new_trace_id() -> str:
    """A trace that begins here and is not sampled."""
    return f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"
