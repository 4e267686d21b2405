"""A gateway that only remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from proxy.carveout.naming import Namer, given_templates
from proxy.carveout.report import names_report
from proxy.carveout.workload import Workload
from proxy.config.model import (
    ConditionConfig,
    Config,
    FixedResponseConfig,
    ForwardConfig,
    ListenerConfig,
    QueryPair,
    RedirectConfig,
    RuleConfig,
    TargetGroupConfig,
)
from proxy.config.problem import Place, Problem
from proxy.config.transaction_patterns import parse_pattern
from proxy.observe.history import History
from proxy.observe.live import LiveState, ReloadState
from proxy.observe.metrics import Metrics
from proxy.observe.record import RequestRecord
from proxy.observe.snapshot import Snapshot
from proxy.observe.tail import Tail, TailBatch
from proxy.rules.question import Question

PROBLEM = Problem("error", "unknown-key", Place(3, 5, "listeners[0].prot"), "unknown key prot; did you mean port?")
WARNING = Problem("warning", "unreachable-rule", Place(9, 7, "listeners[0].rules[1]"), "never wins")

CONFIG = Config(
    listeners=(
        ListenerConfig(
            name="web",
            port=8080,
            default=ForwardConfig((("monolith", 1),)),
            rules=(
                RuleConfig(
                    "users",
                    10,
                    (
                        ConditionConfig("host-header", ("api.mycompany.com",)),
                        ConditionConfig("path-pattern", regex_values=("^/api/users",)),
                    ),
                    ForwardConfig((("monolith", 90), ("users", 10))),
                ),
                RuleConfig(
                    "bots",
                    20,
                    (ConditionConfig("query-string", pairs=(QueryPair("utm_source", "bot"), QueryPair(None, "x"))),),
                    FixedResponseConfig(403, "text/plain", "no bots today"),
                ),
                RuleConfig(
                    "mobile",
                    30,
                    (ConditionConfig("http-header", ("*Mobile*",), header_name="User-Agent"),),
                    RedirectConfig(302, host="m.mycompany.com"),
                ),
            ),
        ),
        ListenerConfig(name="internal", port=8081, default=FixedResponseConfig(404)),
    ),
    target_groups={name: TargetGroupConfig(name, ()) for name in ("monolith", "users")},
)

EXPLANATION = {
    "listener": "web",
    "rule": {"name": "users", "priority": 10},
    "authentication": None,
    "action": "forward",
    "target_groups": {"monolith": 90, "users": 10},
    "redirect": None,
    "fixed_response": None,
    "forwarded": {"host": "api.mycompany.com", "target": "/api/users?x=1"},
    "tried": [
        {
            "name": "bots",
            "priority": 5,
            "matched": False,
            "refused_by": {"condition": "query-string", "saw": "x=1"},
        },
        {"name": "users", "priority": 10, "matched": True, "refused_by": None},
    ],
}


@dataclass
class FakeGroup:
    name: str
    states: dict[str, str]
    resolve_error: str | None = None

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "in_use": True,
            "fail_open": False,
            "resolve_error": self.resolve_error,
            "targets": [
                {
                    "id": target_id,
                    "host": self.name,
                    "scheme": "http",
                    "state": state,
                    "reason": "" if state == "healthy" else "Target.Timeout",
                    "detail": "",
                    "in_flight": 1,
                    "requests": 2,
                    "since": 1_700_000_000.0,
                }
                for target_id, state in self.states.items()
            ],
        }


@dataclass
class FakeListener:
    config: ListenerConfig


@dataclass
class FakeRuntime:
    config: Config = CONFIG
    groups: dict[str, FakeGroup] = field(
        default_factory=lambda: {
            "monolith": FakeGroup("monolith", {"10.0.0.1:8000": "healthy"}),
            "users": FakeGroup("users", {"10.0.0.2:8000": "unhealthy"}),
        }
    )

    @property
    def listeners(self) -> dict[str, FakeListener]:
        return {listener.name: FakeListener(listener) for listener in self.config.listeners}


@dataclass
class FakeReload:
    ok: bool = True
    problems: Sequence[Problem] = ()
    changed: bool = True


@dataclass
class FakeGateway:
    runtime: FakeRuntime | None = field(default_factory=FakeRuntime)
    reload_state: ReloadState = field(
        default_factory=lambda: ReloadState(True, 1_700_000_000.0, {"success": 1}, (WARNING,))
    )
    is_listening: bool = field(default=True, kw_only=True)
    metrics: Metrics = field(default_factory=Metrics)
    history: History = field(default_factory=History)
    tail: Tail = field(default_factory=lambda: Tail(0.0))
    next_reload: FakeReload = field(default_factory=FakeReload)
    reloads: int = 0
    pinned: list[str] = field(default_factory=list)
    asked_for_workload: int = 0
    measured: Workload = field(default_factory=lambda: Workload(1_700_000_000.0, 10.0, 6, 1.0))
    explained: list[tuple[Any, ...]] = field(default_factory=list)
    explanation: dict[str, Any] | Exception = field(default_factory=lambda: dict(EXPLANATION))

    async def metrics_snapshot(self) -> Snapshot:
        return self.metrics.snapshot(
            LiveState(groups={"monolith": [("10.0.0.1:8000", True, 1)]}, reload=self.reload_state)
        )

    async def take_tail(self) -> TailBatch:
        return self.tail.take(0.0)

    async def reload(self) -> FakeReload:
        self.reloads += 1
        return self.next_reload

    async def workload(self) -> Workload:
        self.asked_for_workload += 1
        return self.measured

    async def progress(self, days: float) -> dict[str, Any]:
        return {
            "points": [],
            "days": days,
            "ready_to_delete": [{"transaction": "GET /a", "last_hit": 1.0, "days": days}],
        }

    def oidc_public_key(self, kid: str) -> bytes | None:
        return b"PEM" if kid == "known" else None

    def transaction_names(self) -> dict[str, Any]:
        return names_report(Namer(given_templates([parse_pattern("GET /orders/{id}")])))

    async def pin_transactions(self, names: Sequence[str]) -> FakeReload:
        for name in names:
            parse_pattern(name)
        self.pinned += names
        return await self.reload()

    def explain(self, question: Question) -> dict[str, Any]:
        asked = (question.listener.name, question.method, question.target, list(question.headers), question.source_ip)
        self.explained.append(asked)
        if isinstance(self.explanation, Exception):
            raise self.explanation
        return self.explanation

    def record(self, rule: str, target_group: str, status: int, seconds: float, reason: str = "") -> None:
        """Count a request as if it had been served."""
        record = RequestRecord()
        record.started_at, record.received_at, record.ended_at = 1_700_000_100.0, 1.0, 1.0 + seconds
        record.listener, record.rule, record.target_group = "web", rule, target_group
        record.method, record.status, record.reason = b"GET", status, reason
        record.target_status = 0 if reason else status
        self.metrics.series("web", rule, target_group).record(record)
        self.tail.record(record)


def call(app: FastAPI, request: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]) -> httpx.Response:
    """Send one request to an app in this process."""

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:9901") as client:
            return await request(client)

    return asyncio.run(run())


def get(app: FastAPI, path: str, **options: Any) -> httpx.Response:
    return call(app, lambda client: client.get(path, **options))


def post(app: FastAPI, path: str, **options: Any) -> httpx.Response:
    return call(app, lambda client: client.post(path, **options))
