"""The images API of the monolith, before a bucket: what is uploaded is stored, and resized by whoever watches."""

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.requests import ClientDisconnect

from extracted_services.uploads.bodies import image_chunks, parts_of
from extracted_services.uploads.bucket import PART_BYTES, Bucket
from extracted_services.uploads.limits import BodyLimit
from extracted_services.uploads.pictures import read_head, sizes_of
from extracted_services.uploads.request_log import RequestLog

BODY_LIMIT = 20 * 1024 * 1024
MAX_REPORTED_PROBLEMS = 20
FIRST_ID = 900_000_000_000
"""Numbers from here on are this service's, those below are the monolith's: a rule tells them apart by the path."""
IDS = 10**11

Id = Annotated[int, Field(ge=1, lt=10**12)]
Size = Literal["large", "medium", "small", "thumb"]

_WEBP = b"RIFF"

router = APIRouter(prefix="/api/images", tags=["images"])
_log = logging.getLogger(__name__)


async def bucket_of(request: Request) -> Bucket:
    """Return the bucket that the application was created with."""
    bucket = request.app.state.bucket
    assert isinstance(bucket, Bucket)
    return bucket


Images = Annotated[Bucket, Depends(bucket_of)]


@router.post("", status_code=201)
async def upload_image(request: Request, images: Images, response: Response) -> dict[str, Any]:
    """Store an image as it comes; 413 for too many pixels, 422 for what is no image.

    The sizes that the answer names are made after it: `bytes`, which nobody knows yet, is null.
    """
    async with image_chunks(request) as chunks:
        parts = parts_of(chunks, PART_BYTES)
        first = await anext(parts)
        if first.startswith(_WEBP):
            # Its decoder takes nothing but the whole.
            first += b"".join([part async for part in parts])
        picture = read_head(first)
        image_id = await _unused_id(images)
        await images.store(image_id, picture.media_type, first, parts)
    response.headers["Location"] = f"/api/images/{image_id}/large"
    described = {
        name: {"path": f"/api/images/{image_id}/{name}", "width": width, "height": height, "bytes": None}
        for name, (width, height) in sizes_of(picture).items()
    }
    return {"id": image_id, "sizes": described}


@router.get("/{image_id}/{size}")
async def read_image(image_id: Id, size: Size, request: Request, images: Images) -> Response:
    """Return one size of an image; right after the upload it waits for the function."""
    stored = await images.read_size(image_id, size, request.app.state.patience)
    if stored is None:
        raise HTTPException(404, f"there is no image {image_id}")
    return Response(stored.body, media_type="image/jpeg", headers={"ETag": stored.etag})


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


async def report_store_failure(_: Request, error: Exception) -> JSONResponse:
    """Answer 503 when the bucket cannot be reached or refuses; the reason is in the log."""
    _log.error("the bucket fails: %s", error)
    return JSONResponse({"detail": "images cannot be stored or read now"}, status_code=503)


async def end_with_the_client(_: Request, error: Exception) -> Response:
    """Nobody is there to read it; without it the log would have a stack trace for every client that leaves."""
    return Response(status_code=400)


def create_app(bucket_name: str, patience: float) -> FastAPI:
    """Return the service.

    Args:
        bucket_name: Where images are kept; it must be there.
        patience: Seconds that a reader waits for a size that is not made yet.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.bucket = Bucket(bucket_name)
        app.state.patience = patience
        yield
        app.state.bucket.close()

    app = FastAPI(title="Uploads", lifespan=lifespan)
    app.add_middleware(BodyLimit, limit=BODY_LIMIT)
    app.add_middleware(RequestLog)
    app.add_exception_handler(RequestValidationError, report_invalid_request)
    for kind in (BotoCoreError, ClientError):
        app.add_exception_handler(kind, report_store_failure)
    app.add_exception_handler(ClientDisconnect, end_with_the_client)
    app.add_api_route("/health", health)
    app.include_router(router)
    return app


async def _unused_id(images: Bucket) -> int:
    while True:
        image_id = FIRST_ID + secrets.randbelow(IDS)
        if not await images.has_original(image_id):
            return image_id
