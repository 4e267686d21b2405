"""Numbers as people read them on a terminal: three digits are enough."""

from __future__ import annotations

import time

from proxy.observe.families import DURATION_BUCKETS


def duration(seconds: float | None) -> str:
    """`84 ms`, `1.24 s`; a dash for what is not known."""
    if seconds is None:
        return "–"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{_digits(seconds * 1000)} ms"
    return f"{_digits(seconds)} s"


def percentile(seconds: float | None) -> str:
    """Of a request's duration: `< 5 ms` in the first bucket of the histogram, where nobody knows more."""
    least = DURATION_BUCKETS[0]
    return f"< {least * 1000:.0f} ms" if seconds is not None and 0 < seconds < least else duration(seconds)


def rate(value: float | None) -> str:
    """Per second."""
    return "–" if value is None else f"{_digits(value)}/s"


def share(value: float | None) -> str:
    """A share of 1 in percent."""
    return "–" if value is None else f"{value:.1%}"


def size(value: float | None) -> str:
    """Bytes with a unit of a thousand."""
    if value is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{_digits(value)} {unit}"
        value /= 1000
    return f"{_digits(value)} TB"


def ago(moment: float | None, now: float | None = None) -> str:
    """How long ago a moment of the epoch was; `never` without one."""
    if not moment:
        return "never"
    seconds = max(0.0, (time.time() if now is None else now) - moment)
    for limit, divisor, unit in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.0f} {unit} ago"
    return f"{seconds / 86_400:.0f} days ago"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == 0 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
