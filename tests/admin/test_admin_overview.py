"""What the dashboard begins with, and the stream of what comes through."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import httpx
from admin_fakes import PROBLEM, FakeGateway, FakeGroup, FakeRuntime, get
from test_admin_live import serving

from proxy.admin.app import create_admin
from proxy.admin.live import MAX_WATCHERS
from proxy.observe.live import LiveState, ReloadState


def observed(gateway: FakeGateway, at: float) -> None:
    gateway.history.observe(gateway.metrics.snapshot(LiveState()), at)


def test_the_overview_has_points_routes_and_the_monolith() -> None:
    gateway = FakeGateway()
    observed(gateway, 100.0)
    gateway.record("users", "users", 200, 0.2)
    gateway.record("users", "users", 502, 0.2, "Target.ConnectionRefused")
    observed(gateway, 102.0)

    overview = get(create_admin(gateway), "/api/overview").json()

    assert overview["monolith"] == ["monolith"]
    assert [(point["requests"], point["errors"]) for point in overview["points"]] == [(2, 1)]
    assert [(route["rule"], route["target_group"], route["rate"]) for route in overview["routes"]] == [
        ("users", "users", 1.0)
    ]
    assert get(create_admin(gateway), "/api/overview?since=102").json()["points"] == []


def test_troubles_name_what_is_wrong() -> None:
    gateway = FakeGateway(
        FakeRuntime(groups={"users": FakeGroup("users", {"10.0.0.2:80": "unhealthy"}, "users: name not known")}),
        ReloadState(False, 1.0, {"failure": 1}, (PROBLEM,)),
    )
    observed(gateway, 100.0)
    gateway.record("users", "users", 502, 0.2, "Target.ConnectionRefused")
    observed(gateway, 102.0)

    troubles = get(create_admin(gateway), "/api/overview").json()["troubles"]

    assert [(each["kind"], each["severity"], each["text"]) for each in troubles] == [
        ("table", "error", "The last edit of routes.yaml was refused; the table before it serves."),
        ("table", "error", "3:5 unknown key prot; did you mean port?"),
        ("target", "error", "users: users: name not known"),
        ("target", "error", "users: 10.0.0.2:80 is unhealthy (Target.Timeout)"),
        ("route", "error", "rule users to users: 1 of 1 requests ended with a 5xx (100.0%)"),
        ("gateway", "error", "The gateway itself answered 502 1 times: Target.ConnectionRefused"),
    ]


def test_without_a_table_there_is_an_overview_all_the_same() -> None:
    overview = get(create_admin(FakeGateway(runtime=None)), "/api/overview").json()

    assert (overview["monolith"], overview["points"], overview["routes"]) == ([], [], [])


async def next_batch(lines: Any) -> dict[str, Any]:
    async for line in lines:
        if line.startswith("data: "):
            batch: dict[str, Any] = json.loads(line.removeprefix("data: "))
            return batch
    raise AssertionError("the stream ended")


def test_requests_are_streamed_to_everybody_who_looks_on() -> None:
    async def run() -> None:
        gateway = FakeGateway()
        async with (
            serving(create_admin(gateway)) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as client,
            client.stream("GET", "/api/live/requests") as one,
            client.stream("GET", "/api/live/requests") as two,
        ):
            assert one.headers["content-type"].startswith("text/event-stream")
            streams = [one.aiter_lines(), two.aiter_lines()]
            for stream in streams:
                assert (await next_batch(stream))["entries"] == []
            gateway.record("users", "users", 503, 0.2)
            for stream in streams:
                while not (batch := await next_batch(stream))["seen"]:
                    pass
                assert [(each["rule"], each["status"]) for each in batch["entries"]] == [("users", 503)]

    asyncio.run(run())


def test_there_are_only_so_many_streams_and_a_closed_one_makes_room() -> None:
    async def run() -> None:
        async with (
            serving(create_admin(FakeGateway())) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as client,
            contextlib.AsyncExitStack() as streams,
        ):
            lines = []
            for _ in range(MAX_WATCHERS):
                response = await streams.enter_async_context(client.stream("GET", "/api/live/requests"))
                lines.append(response.aiter_lines())
                await next_batch(lines[-1])

            async with client.stream("GET", "/api/live/requests") as refused:
                assert refused.status_code == 503
                assert b"look on already" in await refused.aread()

            await streams.aclose()
            async with asyncio.timeout(10):
                status = 503
                while status == 503:
                    async with client.stream("GET", "/api/live/requests") as again:
                        status = again.status_code
                    await asyncio.sleep(0.01)
            assert status == 200

    asyncio.run(run())
