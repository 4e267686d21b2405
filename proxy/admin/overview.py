"""`/api/overview`: the last ten minutes, the routes of the last one, and what somebody should look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Final, Literal

from pydantic import BaseModel, Field

from proxy.admin.control import RuntimeView
from proxy.config.model import ForwardConfig
from proxy.observe.history import History, RouteWindow
from proxy.observe.live import ReloadState
from proxy.targets.target import HealthState

MOST_POINTS: Final = 300
MOST_PROBLEMS: Final = 50

_BAD_STATES: Final = {HealthState.UNHEALTHY.value: "error", HealthState.INITIAL.value: "warning"}


class Point(BaseModel):
    """What happened in `seconds` up to `at`."""

    at: float
    seconds: float
    requests: int
    client_errors: int
    errors: int
    gateway_errors: int
    p50: float | None
    p95: float | None
    p99: float | None
    overhead_mean: float | None
    overhead_p99: float | None
    in_flight: int
    request_bytes: int
    response_bytes: int


class Route(BaseModel):
    """A rule and a target group that had requests, over the last minute."""

    listener: str
    rule: str
    target_group: str
    requests: int
    errors: int
    rate: float
    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None


class Trouble(BaseModel):
    """Something to look at."""

    kind: Literal["table", "target", "route", "gateway"]
    severity: Literal["error", "warning"]
    text: str


class Overview(BaseModel):
    at: float
    sample_seconds: float = Field(description="How often a point is made.")
    window_seconds: float = Field(description="What `routes` are about.")
    monolith: list[str] = Field(description="Target groups of the listeners' default actions.")
    points: list[Point] = Field(description="Oldest first; ten minutes of them, or those after `since`.")
    routes: list[Route]
    troubles: list[Trouble]


def overview(
    runtime: RuntimeView | None,
    history: History,
    reload: ReloadState,
    *,
    now: float,
    sample_seconds: float,
    since: float,
) -> Overview:
    """The document; only points later than `since`."""
    points = [point for point in history.points if point.at > since]
    return Overview(
        at=now,
        sample_seconds=sample_seconds,
        window_seconds=history.window_seconds,
        monolith=monolith_groups(runtime),
        points=[Point(**asdict(point)) for point in points[-MOST_POINTS:]],
        routes=[Route(**asdict(route)) for route in history.routes if route.requests],
        troubles=list(troubles(runtime, history, reload))[:MOST_PROBLEMS],
    )


def monolith_groups(runtime: RuntimeView | None) -> list[str]:
    """What everything goes to that no rule takes, each once."""
    if runtime is None:
        return []
    defaults = (listener.config.default for listener in runtime.listeners.values())
    groups = [name for default in defaults if isinstance(default, ForwardConfig) for name, _ in default.weights]
    return list(dict.fromkeys(groups))


def troubles(runtime: RuntimeView | None, history: History, reload: ReloadState) -> Iterator[Trouble]:
    """What is wrong now or was within the last minute, the worst first of its kind."""
    if not reload.successful:
        text = "The last edit of routes.yaml was refused; the table before it serves."
        yield Trouble(kind="table", severity="error", text=text)
    for problem in reload.problems:
        text = f"{problem.place.line}:{problem.place.column} {problem.message}"
        yield Trouble(kind="table", severity=problem.severity, text=text)
    if runtime is not None:
        for group in runtime.groups.values():
            yield from _of_targets(group.describe())
    for route in sorted(history.routes, key=lambda route: -route.errors):
        if route.errors:
            yield Trouble(kind="route", severity="error", text=_of_route(route))
    for (code, reason), count in sorted(history.gateway_errors.items(), key=lambda item: -item[1]):
        severity: Literal["error", "warning"] = "error" if code.startswith("5") else "warning"
        yield Trouble(
            kind="gateway", severity=severity, text=f"The gateway itself answered {code} {count} times: {reason}"
        )


def _of_targets(group: object) -> Iterator[Trouble]:
    assert isinstance(group, dict)
    name = group["name"]
    if group["resolve_error"]:
        # Without any target it may be one that is not deployed here; who asks for it is among the routes below.
        severity: Literal["error", "warning"] = "error" if group["targets"] else "warning"
        yield Trouble(kind="target", severity=severity, text=f"{name}: {group['resolve_error']}")
    if group["fail_open"]:
        yield Trouble(
            kind="target", severity="error", text=f"{name}: no target is healthy, so all of them get requests"
        )
    for target in group["targets"]:
        match _BAD_STATES.get(target["state"]):
            case "error":
                why = ": ".join(filter(None, (target["reason"], target["detail"])))
                yield Trouble(kind="target", severity="error", text=f"{name}: {target['id']} is unhealthy ({why})")
            case "warning":
                yield Trouble(kind="target", severity="warning", text=f"{name}: {target['id']} is not checked yet")


def _of_route(route: RouteWindow) -> str:
    where = f"rule {route.rule or '(none)'} to {route.target_group}" if route.target_group else f"rule {route.rule}"
    share = route.errors / route.requests if route.requests else 0.0
    return f"{where}: {route.errors} of {route.requests} requests ended with a 5xx ({share:.1%})"
