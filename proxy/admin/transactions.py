"""What transactions cost, and their names, on the admin API."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastapi import Body, FastAPI, HTTPException, Response, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field

from proxy.admin import models
from proxy.admin.control import GatewayControl
from proxy.carveout.report import transactions_report
from proxy.config.edit import EditError
from proxy.config.transaction_patterns import PatternError

MAX_PINNED = 500
"""Names in one request."""


class Window(BaseModel):
    """What time the figures are of."""

    seconds: float
    since: float = Field(description="Seconds since the epoch.")


class Histogram(BaseModel):
    """Requests by latency; not cumulated, the last count is of those above all bounds."""

    bounds: list[float] = Field(description="Upper bounds in seconds.")
    counts: list[int]


class Transaction(BaseModel):
    """A transaction at a target group. Seconds; shares are from 0 to 1, of the whole target group."""

    name: str
    target_group: str
    requests: int
    rate: float = Field(description="Requests a second.")
    mean: float = Field(description="Seconds from the request sent to the target until its response was complete.")
    p50: float
    p95: float
    p99: float
    quiet_mean: float | None = Field(description="Mean of those that began while few others were in flight.")
    time_share: float = Field(description="Of the time that requests spent at the target group.")
    demand_share: float = Field(description="The same, by the latencies of quiet moments: without queueing.")
    tail_pain: float = Field(description="Seconds over the objective, a second.")
    first_byte_mean: float
    request_bytes: int
    response_bytes: int
    bandwidth: float = Field(description="Bytes a second, both ways.")
    error_rate: float
    client_error_rate: float
    variability: float = Field(description="Standard deviation of the latency by its mean.")
    write_share: float
    in_flight: float = Field(description="Requests in flight on average (Little's law).")
    streams: int = Field(description="Tunnels and event streams; their time is in no other figure.")
    cpu_share: float | None
    database_share: float | None = Field(description="Of its own time, by Server-Timing.")
    histogram: Histogram
    neighbours: dict[str, int] = Field(description="What the same session asked for next, and how often; a sample.")
    last_hit: float = Field(description="Seconds since the epoch.")


class Transactions(BaseModel):
    """What transactions cost, those with the most time first."""

    window: Window
    transactions: list[Transaction]


class TransactionName(BaseModel):
    """A name that requests are given."""

    name: str
    source: str = Field(description="`learned`, `pinned` (in routes.yaml) or `openapi`.")
    requests: int = Field(description="That it was learned from.")
    regex: str = Field(description="Of whole paths without their query; the first in the list that matches names it.")


class TransactionRename(BaseModel):
    """A learned name that gave way to another one."""

    at: float = Field(description="Seconds since the epoch.")
    old: str
    new: str


class TransactionNames(BaseModel):
    """All names in the order in which they are tried, to be reviewed and pinned."""

    names: list[TransactionName]
    overflow: int = Field(description="Learned names over the limit; their requests are {other}.")
    renames: list[TransactionRename]


_FORBIDDEN: dict[int | str, dict[str, Any]] = {
    403: {"model": models.ApiError, "description": "Unknown Host, foreign Origin, or writes are not allowed."}
}


def add_transactions(app: FastAPI, gateway: GatewayControl) -> None:
    """Add the routes under `/api/transactions`."""

    @app.get("/api/transactions", tags=["transactions"], response_model=Transactions, responses=_FORBIDDEN)
    async def transactions() -> Response:
        """What each transaction of the last hours cost: rates, latencies, shares, bytes, errors."""
        workload = await gateway.workload()
        report = await asyncio.to_thread(transactions_report, workload, time.time())
        return JSONResponse(report)

    @app.get("/api/transactions/names", tags=["transactions"], responses=_FORBIDDEN)
    async def names() -> TransactionNames:
        """How requests get their names: templates that were given or learned, and what was renamed."""
        return TransactionNames.model_validate(gateway.transaction_names())

    @app.post(
        "/api/transactions/names",
        tags=["transactions", "writes"],
        response_model=models.ReloadReport,
        dependencies=[Security(HTTPBearer(auto_error=False))],
        responses={
            **_FORBIDDEN,
            401: {"model": models.ApiError, "description": "The token is missing or wrong."},
            422: {"model": models.ApiError, "description": "A name is no method and path, or the file cannot have it."},
        },
    )
    async def pin(
        names: Annotated[list[str], Body(embed=True, min_length=1, max_length=MAX_PINNED)],
    ) -> Response:
        """Pin names: write them into `transactions` of routes.yaml, where they stay and come before learned ones."""
        try:
            result = await gateway.pin_transactions(names)
        except (PatternError, EditError) as error:
            raise HTTPException(422, str(error)) from None
        except OSError as error:
            raise HTTPException(422, f"the table cannot be written: {error.strerror}") from None
        problems = [models.ProblemReport.of(problem) for problem in result.problems]
        if not result.ok:
            return JSONResponse(models.CheckReport(ok=False, problems=problems).model_dump(), 422)
        return JSONResponse(models.ReloadReport(ok=True, problems=problems, changed=result.changed).model_dump())
