"""The carve-out radar on the admin port: candidates, coverage, progress."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import FastAPI, HTTPException, Query

from proxy.admin import models
from proxy.admin.carveout_models import Candidates, Coverage, Progress
from proxy.admin.control import GatewayControl
from proxy.carveout.candidates import candidates_document
from proxy.carveout.coverage import coverage_document

FRESH_SECONDS: Final = 10.0
"""How long an answer is given again: a ranking is worth a second of thinking, and changes slowly."""
MOST_KEPT: Final = 8
"""Answers to different questions that are kept."""
MOST_NAMES: Final = 50

_Names = Annotated[list[str] | None, Query(max_length=MOST_NAMES)]


def add_carveout(app: FastAPI, gateway: GatewayControl) -> None:
    """Add the endpoints of the radar."""
    candidates = CandidatesCache(gateway)
    refused: dict[int | str, dict[str, Any]] = {403: {"model": models.ApiError, "description": "Unknown Host."}}
    no_table: dict[int | str, dict[str, Any]] = {
        503: {"model": models.ApiError, "description": "No table has been loaded."}
    }

    @app.get("/api/candidates", tags=["carve-out"], response_model=Candidates, responses=refused)
    async def _candidates(sensitive: _Names = None, monolith: _Names = None) -> dict[str, Any]:
        """What to carve out of the monolith next, why, and how sure that is.

        `sensitive` names transactions or paths with sensitive data, `*` for any characters; `monolith` the target
        groups that are the monolith, by default those of the listeners' default actions.
        """
        return await candidates.get(tuple(sensitive or ()), tuple(monolith or ()))

    @app.get("/api/coverage", tags=["carve-out"], response_model=Coverage, responses={**refused, **no_table})
    async def coverage() -> dict[str, Any]:
        """Hits and last hit of every rule and condition value since the start, and rules that never win."""
        runtime = gateway.runtime
        if runtime is None:
            raise HTTPException(503, "no table has been loaded")
        snapshot = await gateway.metrics_snapshot()
        problems = gateway.reload_state.problems
        return await asyncio.to_thread(coverage_document, runtime.config, snapshot, problems)

    @app.get("/api/progress", tags=["carve-out"], response_model=Progress, responses=refused)
    async def progress(days: Annotated[float, Query(ge=0, le=3650)] = 30.0) -> dict[str, Any]:
        """What the monolith and the others served over time, and what nobody has asked the monolith for."""
        return dict(await gateway.progress(days))


class CandidatesCache:
    """Ranks in a thread, once for all who ask within `FRESH_SECONDS`.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, gateway: GatewayControl, clock: Callable[[], float] = time.monotonic) -> None:
        self._gateway = gateway
        self._clock = clock
        self._thinking = asyncio.Lock()
        self._kept: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[float, dict[str, Any]]] = {}

    async def get(self, sensitive: tuple[str, ...], monolith: tuple[str, ...]) -> dict[str, Any]:
        """The candidates document, not older than `FRESH_SECONDS`."""
        key = (sensitive, monolith)
        async with self._thinking:
            known = self._kept.get(key)
            if known is not None and self._clock() - known[0] < FRESH_SECONDS:
                return known[1]
            runtime = self._gateway.runtime
            config = runtime.config if runtime else None
            document = await asyncio.to_thread(
                candidates_document,
                await self._gateway.workload(),
                config,
                monolith=monolith or None,
                sensitive=sensitive,
            )
            self._kept.pop(key, None)
            while len(self._kept) >= MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = (self._clock(), document)
            return document
