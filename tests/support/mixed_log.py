"""A small log with some of everything, for engines to agree on."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from log_reading import alb_line

BEGAN = 1_795_521_590


def mixed_log(count: int = 400, seed: int = 5) -> list[str]:
    """Several clients, groups, methods, statuses, failures, tunnels, redirects, and a bad line at the end."""
    draw = random.Random(seed)
    lines = []
    at_ms = 0
    for _ in range(count):
        at_ms += draw.randrange(200)
        lasts_ms = draw.choice((0, 1, 5, 30, 200, 1500))
        status = draw.choices((200, 201, 302, 404, 500, 504), (80, 5, 5, 5, 3, 2))[0]
        order, item = draw.randrange(50), draw.randrange(9)
        path = draw.choice(("/", "/orders", f"/orders/{order}", "/a%20b;v=1", f"/items/{item}.json"))
        group = draw.choice(("monolith", "monolith", "orders"))
        changes = {
            "created": _iso(at_ms),
            "time": _iso(at_ms + lasts_ms),
            "times": f"0.000 {lasts_ms / 1000:.3f} 0.000" if status != 504 else "-1 -1 -1",
            "client": draw.choice(("192.0.2.1:5", "192.0.2.2:6", "[2001:db8::1]:7")),
            "request": f"{draw.choice(('GET', 'GET', 'POST', 'BREW'))} https://shop:443{path}?q={draw.random()} HTTP/2",
            "arn": f"arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/{group}/1",
            "status": status,
            "target_status": status if status != 504 else "-",
            "user_agent": draw.choice(("curl/8", "a \\x22b\\x22", "-")),
            "bytes": f"{draw.randrange(9000)} {draw.randrange(10**10)}",
        }
        if draw.random() < 0.02:
            changes |= {"type": "wss", "status": 101, "target_status": 101}
        if draw.random() < 0.03:
            changes |= {"target": "-", "times": "-1 -1 -1", "target_status": "-", "arn": "-"}
        lines.append(alb_line(**changes))
    return [*lines, "cut short"]


def _iso(ms: int) -> str:
    at = datetime.fromtimestamp(BEGAN + ms // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}000Z"
