"""Slow start: the share of a target that has just become healthy grows from nothing to full (alb.md 5.3). Pure."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.targets.target import Target


def enters(target: Target, healthy: Iterable[Target], *, seconds: int) -> bool:
    """Whether a target that becomes healthy now enters slow start.

    Args:
        target: What becomes healthy.
        healthy: The healthy targets of its group; itself among them or not.
        seconds: `slow_start.duration_seconds`, 0 for off.

    One healthy target outside slow start is needed, since somebody must take the load. A target that was registered
    into an empty group (`is_founder`) does not enter before it has been healthy once.
    """
    if not seconds or target.is_founder:
        return False
    return any(other.slow_start_since is None for other in healthy if other is not target)


def share(since: float | None, now: float, seconds: int) -> float:
    """The part of a full share that a target gets, 0 to 1: linear in the time since it entered."""
    if since is None or not seconds:
        return 1.0
    return min(max((now - since) / seconds, 0.0), 1.0)
