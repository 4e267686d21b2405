"""The baseline's application: every request through one FastAPI route and one httpx client."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI, Request, Response

from bench import table
from bench.table import DEFAULT_GROUP, Rule, Table

_HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length"}


def create_app() -> FastAPI:
    """Return the proxy for the table in the file that `BENCH_BASELINE` names."""
    settings = json.loads(Path(os.environ["BENCH_BASELINE"]).read_text())
    rules = Table(tuple(_rule(values) for values in settings["rules"]))
    ports = settings["target_ports"]
    counts: Counter[tuple[str, int]] = Counter()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as client:
            app.state.client = client
            yield

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
    async def forward(request: Request) -> Response:
        rule = _evaluate(rules, request)
        headers = [(name, value) for name, value in request.headers.items() if name not in _HOP_BY_HOP]
        client_host = request.client.host if request.client else ""
        headers += [
            ("x-forwarded-for", client_host),
            ("x-forwarded-proto", request.url.scheme),
            ("x-forwarded-port", str(request.scope["server"][1])),
            ("x-request-id", uuid.uuid4().hex),
        ]
        answer = await request.app.state.client.request(
            request.method,
            f"http://127.0.0.1:{ports[rule.group]}{request.url.path}?{request.url.query}".removesuffix("?"),
            headers=headers,
            content=await request.body(),
        )
        counts[rule.name, answer.status_code] += 1
        kept = {name: value for name, value in answer.headers.items() if name not in _HOP_BY_HOP}
        return Response(answer.content, answer.status_code, kept)

    return app


def _evaluate(rules: Table, request: Request) -> Rule:
    seen = table.Request(
        method=request.method,
        path=request.url.path,
        query=request.url.query,
        host=request.headers["host"],
    )
    for rule in rules.rules:
        if rule.header is None:
            matched = rule.matches(seen)
        else:
            value = request.headers.get(rule.header[0])
            matched = value is not None and rule.matches(replace(seen, header=(rule.header[0], value)))
        if matched:
            return rule
    return Rule("default", DEFAULT_GROUP)


def _rule(values: dict[str, Any]) -> Rule:
    pairs = {name: tuple(values[name]) for name in ("header", "query") if values[name]}
    return Rule(**{**values, **pairs})
