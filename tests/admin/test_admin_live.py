"""The admin app behind a real server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import httpx
import uvicorn
from admin_fakes import FakeGateway
from fastapi import FastAPI

from proxy.admin.app import create_admin


@contextlib.asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, log_level="error", ws="none", lifespan="on")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listening]))
        while not server.started:
            assert not task.done(), "the server ended before it started"
            await asyncio.sleep(0.01)
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await task


def test_over_a_socket() -> None:
    """Status, metrics in a thread beside it, a write with its token, a foreign name refused."""

    async def run() -> None:
        gateway = FakeGateway()
        gateway.record("users", "users", 200, 0.2)
        async with (
            serving(create_admin(gateway, token="s3cret")) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
        ):
            status, metrics, page = await asyncio.gather(
                client.get("/api/status"), client.get("/metrics"), client.get("/")
            )
            assert status.json()["totals"]["requests"] == 1
            assert "strangler_requests_total{" in metrics.text
            assert "<title>Strangler Fig</title>" in page.text

            rebound = await client.get("/api/status", headers={"host": f"rebound.example:{port}"})
            assert rebound.status_code == 403
            assert (await client.post("/api/reload")).status_code == 401
            bearer = {"authorization": "Bearer s3cret"}
            assert (await client.post("/api/reload", headers=bearer)).status_code == 200
            assert gateway.reloads == 1

    asyncio.run(run())


def test_a_body_without_end_is_cut_off() -> None:
    """A client that goes on sending is answered after the limit, not after its last byte."""

    async def run() -> bytes:
        async with serving(create_admin(FakeGateway())) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"POST /api/explain HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                + b"8000\r\n%b\r\n" % (b"x" * 0x8000) * 3
            )
            answer = await asyncio.wait_for(reader.readline(), 10)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            return answer

    assert b" 413 " in asyncio.run(run())
