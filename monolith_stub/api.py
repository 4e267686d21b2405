"""What all endpoints share: the shop behind the request, bounded parameters, errors that repeat no input."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field, StringConstraints

from monolith_stub.database import Database
from monolith_stub.mail import Mailer

MAX_REPORTED_PROBLEMS = 20

# Shorter than any card number, so that none is repeated as "there is no payment ...".
Id = Annotated[int, Field(ge=1, lt=10**12)]
Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[int, Query(ge=0, lt=10**12, description="list what comes after this id")]
# One line of text: no control characters, which would end up in mail, logs and pages.
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$"),
]


@dataclass(frozen=True, slots=True)
class Shop:
    """What the endpoints of one process share."""

    database: Database
    mailer: Mailer
    images: Path
    card_key: bytes


async def shop_of(request: Request) -> Shop:
    """Return the shop that the application was created with."""
    shop = request.app.state.shop
    assert isinstance(shop, Shop)
    return shop


Here = Annotated[Shop, Depends(shop_of)]


def not_found(kind: str, key: object) -> HTTPException:
    """Return the 404 for a missing record."""
    return HTTPException(404, f"there is no {kind} {key}")


def now() -> str:
    """Return the present time as stored and shown: UTC, ISO 8601, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


async def report_invalid_request(_: Request, error: Exception) -> JSONResponse:
    """Answer 422 with places and reasons only.

    FastAPI's own answer repeats the refused input, which may be a password or a card number.
    """
    assert isinstance(error, RequestValidationError)
    problems: list[dict[str, Any]] = [
        {"loc": problem["loc"], "msg": problem["msg"], "type": problem["type"]} for problem in error.errors()
    ]
    return JSONResponse({"detail": problems[:MAX_REPORTED_PROBLEMS]}, status_code=422)
