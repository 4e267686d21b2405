"""The recommendations API, answer for answer as the monolith gives it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field

from extracted_services.recommendations.request_log import RequestLog
from extracted_services.recommendations.store import Snapshot, load

Id = Annotated[int, Field(ge=1, lt=10**12)]
Limit = Annotated[int, Query(ge=1, le=100)]

router = APIRouter(prefix="/api/recommendations", tags=["recommendations"])


async def snapshot_of(request: Request) -> Snapshot:
    """Return the data that the application was started with."""
    snapshot = request.app.state.snapshot
    assert isinstance(snapshot, Snapshot)
    return snapshot


Data = Annotated[Snapshot, Depends(snapshot_of)]

# Everything is in memory and takes a few milliseconds: a thread would cost more than it saves.


@router.get("/users/{user_id}/friends")
async def recommend_friends(user_id: Id, data: Data, limit: Limit = 10) -> dict[str, Any]:
    """Rank friends of friends."""
    _require_user(data, user_id)
    friends = [
        {
            "id": friend.user_id,
            "name": data.names[friend.user_id],
            "mutual_friends": friend.mutual_friends,
            "score": friend.score,
        }
        for friend in data.index.friends_for(user_id, limit)
    ]
    return {"user_id": user_id, "friends": friends}


@router.get("/users/{user_id}/products")
async def recommend_products(user_id: Id, data: Data, limit: Limit = 10) -> dict[str, Any]:
    """Rank products by how often they are bought by those who bought what this user has."""
    _require_user(data, user_id)
    ranked = data.index.products_for(user_id, limit)
    return {
        "user_id": user_id,
        "products": [{**data.products[product_id], "score": score} for product_id, score in ranked],
    }


async def health() -> dict[str, str]:
    """Answer at once: it tells that the process lives and has its index."""
    return {"status": "ok"}


async def report_invalid_request(_: Request, error: Exception) -> JSONResponse:
    """Answer 422 in the form of the monolith."""
    assert isinstance(error, RequestValidationError)
    problems: list[dict[str, Any]] = [
        {"loc": problem["loc"], "msg": problem["msg"], "type": problem["type"]} for problem in error.errors()
    ]
    return JSONResponse({"detail": problems}, status_code=422)


def create_app(data: Path) -> FastAPI:
    """Return the service; its data folder is made, seeded and indexed when the application starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.snapshot = load(data)
        yield

    app = FastAPI(title="Recommendations", lifespan=lifespan)
    app.add_middleware(RequestLog)
    app.add_exception_handler(RequestValidationError, report_invalid_request)
    app.add_api_route("/health", health)
    app.include_router(router)
    return app


def _require_user(data: Snapshot, user_id: int) -> None:
    if not data.index.has_user(user_id):
        raise HTTPException(404, f"there is no user {user_id}")
