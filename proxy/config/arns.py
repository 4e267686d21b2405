"""The names that things of ours have where AWS would have an ARN: in events and in the access log."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

REGION: Final = "local"
ACCOUNT: Final = "000000000000"
"""Region and account of a load balancer that is in none."""


@lru_cache(maxsize=1024)
def target_group_arn(name: str) -> str:
    """The ARN of a target group, always the same for a name."""
    return f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/{name}/{hex_id(name)}"


def hex_id(name: str) -> str:
    """16 hex digits, as at the end of an ARN; always the same for a name."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]
