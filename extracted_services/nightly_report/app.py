"""The reports API, answer for answer as the monolith gives it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from extracted_services.nightly_report.report import SourceError, compute_report
from extracted_services.nightly_report.request_log import RequestLog
from extracted_services.nightly_report.store import Store

MAX_REPORTED_PROBLEMS = 20

router = APIRouter(prefix="/api/reports/nightly", tags=["reports"])


@dataclass(frozen=True, slots=True)
class Reports:
    """Where reports are kept, and where their numbers come from."""

    store: Store
    source: Path


async def reports_of(request: Request) -> Reports:
    """Return what the application was created with."""
    reports = request.app.state.reports
    assert isinstance(reports, Reports)
    return reports


Here = Annotated[Reports, Depends(reports_of)]
Day = Annotated[str, PathParameter(pattern=r"^\d{4}-\d{2}-\d{2}$")]


@router.post("", status_code=201)
def run_report(reports: Here, response: Response) -> dict[str, Any]:
    """Compute today's report now; a second run of the day replaces the first."""
    try:
        report = compute_report(reports.source, datetime.now(UTC).date())
    except SourceError as error:
        raise HTTPException(503, "the shop's database cannot be read, try again later") from error
    reports.store.keep(report)
    response.headers["Location"] = f"/api/reports/nightly/{report['day']}"
    return report


@router.get("")
def list_reports(reports: Here) -> dict[str, Any]:
    """List the days with a report, newest first (at most 100)."""
    return {"days": reports.store.days()}


@router.get("/{day}")
def read_report(day: Day, reports: Here) -> dict[str, Any]:
    """Return the report of one day."""
    report = reports.store.report(day)
    if report is None:
        raise HTTPException(404, f"there is no report of {day}")
    return report


async def health() -> dict[str, str]:
    """Answer at once: it tells that the process lives."""
    return {"status": "ok"}


async def report_invalid_request(_: Request, error: Exception) -> JSONResponse:
    """Answer 422 with places and reasons, without the refused input."""
    assert isinstance(error, RequestValidationError)
    problems: list[dict[str, Any]] = [
        {"loc": problem["loc"], "msg": problem["msg"], "type": problem["type"]} for problem in error.errors()
    ]
    return JSONResponse({"detail": problems[:MAX_REPORTED_PROBLEMS]}, status_code=422)


def create_app(data: Path, source: Path) -> FastAPI:
    """Return the service."""
    app = FastAPI(title="Nightly report")
    app.state.reports = Reports(Store(data), source)
    app.add_middleware(RequestLog)
    app.add_exception_handler(RequestValidationError, report_invalid_request)
    app.add_api_route("/health", health)
    app.include_router(router)
    return app
