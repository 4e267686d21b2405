"""A shop of ten minutes' traffic without a socket: the real control, its counts and its history.

What the carve-out radar says of it comes from here as long as nobody measures it: `answers` has one document a path.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxy.carveout.workload import FINE_BUCKETS, bucket_of
from proxy.config.load import load
from proxy.control import Control
from proxy.observe.record import RequestRecord
from proxy.rules.request import RequestView
from proxy.targets.group import Member

REPOSITORY = Path(__file__).resolve().parents[2]
TABLE = REPOSITORY / "routes.yaml"
MINUTES = 10
STEP = 2.0

ROUTES = [
    # rule, target group, requests a second, typical seconds, path
    ("default", "monolith", 22.0, 0.062, "/products"),
    ("default", "monolith", 3.1, 0.9, "/reports/sales"),
    ("default", "monolith", 4.4, 0.32, "/images/7/large"),
    ("default", "monolith", 2.2, 0.11, "/orders"),
    ("users", "monolith", 6.3, 0.041, "/api/users/7"),
    ("users", "users", 5.9, 0.012, "/api/users/12"),
    ("recommendations", "recommendations", 8.2, 0.024, "/api/recommendations/3"),
    ("signup", "monolith", 0.8, 0.24, "/api/users"),
    ("old-app", "monolith", 1.1, 0.055, "/products"),
    ("bots", "", 2.4, 0.0003, "/products"),
    ("www", "", 0.9, 0.0003, "/"),
]

TRANSACTIONS = [
    # name, target group, rate, mean, spread, response bytes, errors, writes
    ("GET /products", "monolith", 22.0, 0.062, 0.6, 18_200, 0.0, 0.0),
    ("GET /products/{id}", "monolith", 14.2, 0.038, 0.5, 6_100, 0.0, 0.0),
    ("GET /images/{id}/{size}", "monolith", 4.4, 0.32, 0.8, 210_000, 0.001, 0.0),
    ("GET /reports/sales", "monolith", 0.31, 2.4, 0.7, 64_000, 0.02, 0.0),
    ("POST /contacts/match", "monolith", 0.44, 1.35, 0.6, 9_800, 0.004, 1.0),
    ("GET /api/recommendations/{id}", "monolith", 0.9, 0.48, 0.9, 3_100, 0.0, 0.0),
    ("GET /api/recommendations/{id}", "recommendations", 8.2, 0.024, 0.5, 3_100, 0.0, 0.0),
    ("POST /payments", "monolith", 0.6, 0.41, 0.4, 420, 0.006, 1.0),
    ("POST /orders", "monolith", 0.9, 0.18, 0.5, 900, 0.002, 1.0),
    ("GET /orders/{id}", "monolith", 2.2, 0.047, 0.5, 2_400, 0.0, 0.0),
    ("GET /api/users/{id}", "monolith", 6.3, 0.041, 0.5, 700, 0.0, 0.0),
    ("GET /api/users/{id}", "users", 5.9, 0.012, 0.4, 700, 0.0, 0.0),
    ("POST /api/users", "monolith", 0.8, 0.24, 0.5, 500, 0.003, 1.0),
    ("GET /", "monolith", 3.0, 0.021, 0.4, 4_200, 0.0, 0.0),
    ("GET /cart", "monolith", 5.1, 0.033, 0.5, 2_100, 0.0, 0.0),
    ("POST /cart/items", "monolith", 2.6, 0.044, 0.5, 600, 0.001, 1.0),
]


def shop(now: float | None = None, seed: int = 7) -> Control:
    """A control that has served the routes of `ROUTES` for ten minutes until `now`."""
    end = time.time() if now is None else now
    draw = random.Random(seed)
    content = TABLE.read_bytes()
    control = Control(
        TABLE, load(content, {}), content=content, environment={}, keeps_targets=False, clock=lambda: end - 1800
    )
    for name, group in control.runtime.groups.items():
        group.mirror(
            [Member("http", f"10.0.{place}.{len(name)}", 8000, name, *health) for place, health in _health(name)]
        )
    at = end - MINUTES * 60
    control.history.observe(control.gateway.metrics_snapshot(control.reload_state), at)
    while at < end:
        at += STEP
        swell = 1.0 + 0.25 * math.sin(at / 70.0) + 0.08 * draw.random()
        hiccup = 3.0 if end - 250 < at < end - 215 else 1.0
        serve(control, at, STEP * swell, draw, hiccup)
        control.history.observe(control.gateway.metrics_snapshot(control.reload_state), at)
    return control


def serve(control: Control, at: float, seconds: float, draw: random.Random, slower: float = 1.0) -> None:
    """Record what comes in so many seconds."""
    for rule, group, rate, typical, path in ROUTES:
        expected = rate * seconds
        for _ in range(int(expected) + (draw.random() < expected % 1)):
            took = typical * draw.lognormvariate(0, 0.5) * (slower if group == "monolith" else 1.0)
            control.gateway.record(
                _record(rule, group, path, at - draw.random() * seconds, took, draw),
                control.metrics.series("web", rule, group),
            )


def _record(rule: str, group: str, path: str, at: float, took: float, draw: random.Random) -> RequestRecord:
    record = RequestRecord()
    record.started_at, record.received_at, record.sent_at = at, 1.0, 1.0001
    record.ended_at = 1.0 + took
    record.head_at = record.ended_at - took / 8 if group else 0.0
    record.overhead = 0.0001 * draw.lognormvariate(0, 0.35)
    record.listener, record.rule, record.target_group = "web", rule, group
    record.target_id = f"10.0.0.{len(group)}:8000" if group else ""
    record.method = b"POST" if rule == "signup" else b"GET"
    chance = draw.random()
    status = 403 if rule == "bots" else 301 if rule == "www" else 200
    if group == "monolith" and chance < 0.002:
        status = 500
    elif group and chance > 0.985:
        status = 404
    record.status = record.target_status = status
    record.request_bytes, record.response_bytes = 380, int(3000 * draw.lognormvariate(0, 0.7))
    record.view = RequestView.of("GET", path if draw.random() < 0.7 else f"{path}?session=s3cret", [("Host", "shop")])
    return record


def _health(name: str) -> Iterator[tuple[int, tuple[str, str, str]]]:
    yield 0, ("healthy", "", "")
    if name == "users":
        yield 1, ("healthy", "", "")
        yield 2, ("unhealthy", "Target.Timeout", "no answer within 2 s")


def answers(now: float, transactions: int = len(TRANSACTIONS), seed: int = 7) -> dict[str, Any]:
    """What the radar's paths answer about the shop; with more transactions than it has, others are made up."""
    draw = random.Random(seed)
    rows = list(TRANSACTIONS)
    verbs = ["GET", "GET", "GET", "POST", "PUT", "DELETE"]
    while len(rows) < transactions:
        number = len(rows)
        verb = verbs[number % len(verbs)]
        name = f"{verb} /api/v{number % 3 + 1}/resource-{number:04d}/{{id}}"
        rows.append((name, "monolith", draw.random(), draw.lognormvariate(-3, 1), 0.5, 900, 0.0, float(verb != "GET")))
    rows = rows[:transactions]
    busy: dict[str, float] = {}
    for _, group, rate, mean, *_ in rows:
        busy[group] = busy.get(group, 0.0) + rate * mean
    return {
        "/api/transactions": {
            "window": {"seconds": 600.0, "since": now - 600},
            "transactions": [_transaction(row, busy, now, draw) for row in rows],
        },
        "/api/candidates": _candidates(now),
        "/api/progress": _progress(now, draw),
        "/api/coverage": _coverage(now),
    }


def _transaction(row: tuple[Any, ...], busy: dict[str, float], now: float, draw: random.Random) -> dict[str, Any]:
    name, group, rate, mean, spread, size, errors, writes = row
    counts = [0] * (len(FINE_BUCKETS) + 1)
    samples = sorted(mean * draw.lognormvariate(-spread * spread / 2, spread) for _ in range(120))
    for seconds in samples:
        counts[bucket_of(seconds)] += max(1, int(rate * 5))
    share = rate * mean / busy[group]
    return {
        "name": name,
        "target_group": group,
        "requests": int(rate * 600),
        "rate": rate,
        "mean": mean,
        "p50": samples[60],
        "p95": samples[114],
        "p99": samples[118],
        "quiet_mean": mean * 0.8,
        "time_share": share,
        "demand_share": share * 0.97,
        "tail_pain": share * 0.4,
        "first_byte_mean": mean * 0.85,
        "request_bytes": int(rate * 600) * (40_000 if name.startswith("POST /contacts") else 420),
        "response_bytes": int(rate * 600) * size,
        "bandwidth": rate * size,
        "error_rate": errors,
        "variability": spread,
        "write_share": writes,
        "in_flight": rate * mean,
        "cpu_share": None,
        "database_share": None,
        "histogram": {"bounds": list(FINE_BUCKETS), "counts": counts},
        "last_hit": now - 1 if rate > 0.2 else now - 90,
    }


def _candidates(now: float) -> dict[str, Any]:
    told = [
        # names, benefit, ease, share, stability, grade, path, reasons
        (["GET /images/{id}/{size}"], 0.64, 0.93, 0.24, 0.99, "A", "/images/*",
         "24% of the monolith's work in 6% of its requests.",
         "Long response time: 320 ms of work a request, 5.0 times the average.", "Bandwidth: 61% of all bytes.",
         "Easy to move: only reads, 7% of its sessions go on to a transaction it is coupled with."),
        (["GET /reports/sales"], 0.41, 0.88, 0.13, 0.96, "A", "/reports/*",
         "13% of the monolith's work in under 1% of its requests.",
         "Long response time: 2.4 s of work a request, 37.5 times the average.",
         "Heavy queries: 71% of its time is in the database.", "Easy to move: only reads."),
        (["POST /contacts/match"], 0.35, 0.71, 0.10, 0.93, "B", "/contacts/*",
         "10% of the monolith's work in under 1% of its requests.",
         "Long response time: 1.4 s of work a request, 21.1 times the average.",
         "Big payloads: 40 kB come with a request.", "To move: 100% writes."),
        (["POST /payments"], 0.21, 0.34, 0.04, 0.71, "B", "/payments",
         "4% of the monolith's work in 1% of its requests.",
         "Sensitive data, as you say (POST /payments): apart, less code and fewer people come near it.",
         "To move: 100% writes."),
        (["POST /orders", "GET /orders/{id}"], 0.19, 0.28, 0.05, 0.64, "C", "/orders*",
         "5% of the monolith's work in 4% of its requests.", "To move: 48% writes."),
        (["GET /products", "GET /products/{id}"], 0.31, 0.46, 0.27, 0.88, "B", "/products*",
         "27% of the monolith's work in 52% of its requests.",
         "To move: only reads, 54% of its sessions go on to a transaction it is coupled with."),
        (["POST /api/users"], 0.09, 0.62, 0.03, 0.52, "C", "/api/users",
         "3% of the monolith's work in 1% of its requests.", "To move: 100% writes."),
    ]  # fmt: skip
    told.sort(key=lambda each: -each[1] * each[2])
    return {
        "source": "live",
        "since": now - 93_600,
        "seconds": 93_600.0,
        "requests": 5_564_000,
        "state": "ready",
        "confidence": "A",
        "candidates": [_candidate(rank, *each) for rank, each in enumerate(told, 1)],
        "bundles": [{"transactions": ["POST /orders", "GET /orders/{id}", "POST /cart/items"]}],
        "remaining": {},
    }


def _candidate(
    rank: int, names: list[str], benefit: float, ease: float, share: float, stability: float, grade: str,
    path: str, *reasons: str,
) -> dict[str, Any]:  # fmt: skip
    word = path.strip("/*").replace("/", "-")
    return {
        "rank": rank,
        "transactions": names,
        "name": names[0],
        "target_group": "monolith",
        "benefit": benefit,
        "ease": ease,
        "priority": benefit * ease,
        "benefit_parts": {"demand_share": share, "tail_pain_share": share * 1.3, "relief_share": share * 0.8},
        "ease_parts": {
            "write_share": float(names[0].startswith("POST")),
            "session_crossing": 1 - ease,
            "state_penalty": (1 - ease) / 2,
            "streaming_or_upload": 0.0,
        },
        "share": {"value": share, "low": share * 0.86, "high": share * 1.12},
        "stability": stability,
        "grade": grade,
        "state": "ready",
        "reasons": list(reasons),
        "patterns": [path],
        "rule": f"- name: {word}\n  priority: 160\n  conditions:\n    - path-pattern: ['{path}']\n"
        f"  # shift when {word} is ready\n  forward: {{monolith: 100, {word}: 0}}\n",
        "rule_listener": "web",
        "rule_target_group": f"{word}:\n  targets: [http://{word}:8000]   # where the new service listens\n"
        "  health_check: {path: /health}\n",
        "rule_note": "",
        "without": {
            "requests_in_flight_now": 6.2,
            "requests_in_flight": 6.2 * (1 - share),
            "time_share": share,
            "p95_of_rest_now": 0.34,
            "p95_of_rest": 0.21,
            "low": 0.18,
            "high": 0.24,
        },
    }


def _progress(now: float, draw: random.Random) -> dict[str, Any]:
    points = []
    for day in range(60):
        moved = 0.02 + 0.30 / (1 + math.exp(-(day - 22) / 4)) + 0.16 / (1 + math.exp(-(day - 47) / 2))
        requests = 1_000_000 * (0.9 + 0.2 * draw.random())
        points.append(
            {
                "at": now - (59 - day) * 86_400,
                "monolith_requests": requests * (1 - moved),
                "moved_requests": requests * moved,
                "monolith_seconds": requests * (1 - moved * 1.35) * 0.08,
                "moved_seconds": requests * moved * 0.02,
            }
        )
    return {
        "points": points,
        "ready_to_delete": [
            {"transaction": "GET /api/recommendations/{id}", "last_hit": now - 34 * 86_400, "days": 34.0},
            {"transaction": "GET /legacy/export.csv", "last_hit": now - 51 * 86_400, "days": 51.0},
        ],
    }


def _coverage(now: float) -> dict[str, Any]:
    def rule(name: str, hits: int, *values: tuple[str, str, int]) -> dict[str, Any]:
        return {
            "listener": "web",
            "rule": name,
            "hits": hits,
            "last_hit": now - 3 if hits else None,
            "conditions": [
                {"field": field, "value": value, "hits": count, "last_hit": now - 3 if count else None}
                for field, value, count in values
            ],
            "never": not hits,
            "shadowed_by": None,
        }

    return {
        "rules": [
            rule("bots", 1440, ("query-string", "utm_source=bot", 1440)),
            rule("users-preview", 0, ("host-header", "users.mycompany.com", 0)),
            rule("users", 7300, ("path-pattern", "/api/users", 0), ("path-pattern", "/api/users/*", 7300)),
            rule("recommendations", 4900, ("path-pattern", "/api/recommendations/*", 4900)),
        ]
    }
