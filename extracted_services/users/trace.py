"""Which trace a request belongs to: W3C `traceparent`, and AWS's `X-Amzn-Trace-Id` (X-Ray guide)."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_ROOT = re.compile(r"(?:^|;)\s*Root=1-([0-9a-f]{8})-([0-9a-f]{24})(?:;|$)")
_SAMPLED = re.compile(r"(?:^|;)\s*Sampled=1(?:;|$)")


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace id (32 hex digits, all that the parts of a trace share) and whether it is recorded."""

    trace_id: str
    sampled: bool

    def headers(self) -> dict[str, str]:
        """Both headers, naming a step of this service as the parent of what receives them."""
        parent = secrets.token_hex(8)
        root = f"1-{self.trace_id[:8]}-{self.trace_id[8:]}"
        return {
            "traceparent": f"00-{self.trace_id}-{parent}-{int(self.sampled):02x}",
            "X-Amzn-Trace-Id": f"Root={root};Parent={parent};Sampled={int(self.sampled)}",
        }


def trace_of(headers: Mapping[str, str]) -> Trace:
    """The trace of these headers: of `traceparent` first, else of `X-Amzn-Trace-Id`, else a new one.

    A header that is malformed, or all zeros, counts as missing (W3C Trace Context 3.2.2).
    """
    match = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    if match and match[1].strip("0") and match[2].strip("0") and (match[4] is None or not match[0].startswith("00")):
        return Trace(match[1], bool(int(match[3], 16) & 1))
    amazon = headers.get("x-amzn-trace-id", "")
    if root := _ROOT.search(amazon):
        return Trace(root[1] + root[2], _SAMPLED.search(amazon) is not None)
    # The first eight digits are a time, as X-Ray has it, so that both headers can carry the same id.
    return Trace(f"{int(time.time()):08x}{secrets.token_hex(12)}", False)
