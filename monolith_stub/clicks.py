"""Clicks, counted by page and minute: a write to the one database within each request."""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from monolith_stub.api import Here

MAX_LISTED = 1000

router = APIRouter(prefix="/api/clicks", tags=["clicks"])


class Click(BaseModel):
    """The body of a click."""

    page: Annotated[str, Field(pattern="^/", max_length=512)]


@router.post("", status_code=202)
def count_click(click: Click, shop: Here) -> dict[str, Any]:
    """Count one click; every one of them waits for the shop's only writer."""
    minute = datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")
    with shop.database.write() as connection:
        connection.execute(
            "INSERT INTO clicks VALUES (?, ?, 1) ON CONFLICT (page, minute) DO UPDATE SET clicks = clicks + 1",
            (click.page, minute),
        )
    return {"id": str(uuid.uuid4())}


@router.get("")
def list_clicks(shop: Here) -> dict[str, Any]:
    """List what was counted, the latest minutes first (at most 1000 counts)."""
    with shop.database.read() as connection:
        rows = connection.execute(
            "SELECT page, minute, clicks FROM clicks ORDER BY minute DESC, page LIMIT ?", (MAX_LISTED,)
        ).fetchall()
    return {"clicks": [dict(row) for row in rows]}
