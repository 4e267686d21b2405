"""The two headers that carry a trace: W3C `traceparent`, and AWS's `X-Amzn-Trace-Id` (X-Ray guide); pure.

A trace id is 32 hex digits in the one and `1-<8>-<24>` in the other: the same digits, so each says what the other does.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import NamedTuple

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_ROOT = re.compile(r"1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})")
_PLAIN = re.compile(r"Root=1-(?!0{8}-0{24})([0-9a-f]{8})-([0-9a-f]{24})")
"""As the load balancer makes it (alb.md 6.2)."""
_PARENT = re.compile(r"[0-9a-fA-F]{16}")
_DECIDED = {"1": True, "0": False}


class TraceContext(NamedTuple):
    """What came with a request.

    Attributes:
        trace_id: 32 hex digits.
        parent_id: 16 hex digits of the sender's span; empty if it names none, as behind the load balancer (alb.md 6.2).
        sampled: Whether the sender has decided that the trace is recorded; None if it has not decided.
    """

    trace_id: str
    parent_id: str
    sampled: bool | None

    def traceparent(self) -> str:
        """The header that continues the trace; it needs a `parent_id` (W3C Trace Context 3.2)."""
        return f"00-{self.trace_id}-{self.parent_id}-{int(self.sampled or False):02x}"

    def amazon(self) -> str:
        """The X-Amzn-Trace-Id that continues the trace."""
        fields = [f"Root=1-{self.trace_id[:8]}-{self.trace_id[8:]}"]
        if self.parent_id:
            fields.append(f"Parent={self.parent_id}")
        if self.sampled is not None:
            fields.append(f"Sampled={int(self.sampled)}")
        return ";".join(fields)


def of_traceparent(text: str) -> TraceContext | None:
    """Read `traceparent`; None if it is malformed or all zeros (W3C Trace Context 3.2.2, 4.3)."""
    match = _TRACEPARENT.fullmatch(text)
    if match is None or (match[1] == "00" and match[5] is not None):
        return None
    if not match[2].strip("0") or not match[3].strip("0"):
        return None
    return TraceContext(match[2], match[3], bool(int(match[4], 16) & 1))


def of_amazon(text: str) -> TraceContext | None:
    """Read `X-Amzn-Trace-Id`; None without a well-formed Root. A malformed Parent or Sampled counts as absent."""
    if plain := _PLAIN.fullmatch(text):
        return TraceContext(plain[1] + plain[2], "", None)
    fields = dict(field.strip().partition("=")[::2] for field in text.split(";"))
    match = _ROOT.fullmatch(fields.get("Root", ""))
    if match is None:
        return None
    trace_id = (match[1] + match[2]).lower()
    parent_id = fields.get("Parent", "").lower()
    if not trace_id.strip("0"):
        return None
    if not _PARENT.fullmatch(parent_id) or not parent_id.strip("0"):
        parent_id = ""
    return TraceContext(trace_id, parent_id, _DECIDED.get(fields.get("Sampled", "")))


def new_trace_id() -> str:
    """A new trace; the first eight digits are the time, as X-Ray wants it."""
    return f"{int(time.time()):08x}{secrets.token_hex(12)}"


def new_span_id() -> str:
    """A new span; not all zeros, which would be none (W3C Trace Context 3.2.2.4)."""
    while not (span_id := secrets.token_hex(8)).strip("0"):
        pass
    return span_id
