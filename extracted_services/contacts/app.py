"""The contacts API, answer for answer as the monolith gives it, in memory that does not grow with the upload."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.requests import ClientDisconnect

from extracted_services.contacts.limits import BodyLimit
from extracted_services.contacts.reader import MAX_PART_BYTES, Contact, ContactReader, PartTooLargeError
from extracted_services.contacts.request_log import RequestLog
from extracted_services.contacts.store import Store

MAX_REPORTED_PROBLEMS = 20
_PIECE_BYTES = 128 * 1024
"""Parsed in one go, on a thread: each change of threads costs more than parsing a small piece."""

Id = Annotated[int, Field(ge=1, lt=10**12)]

router = APIRouter(prefix="/api/contacts", tags=["contacts"])


async def store_of(request: Request) -> Store:
    """Return the store that the application was created with."""
    store = request.app.state.store
    assert isinstance(store, Store)
    return store


@router.post("/{user_id}")
async def upload_contacts(user_id: Id, request: Request, store: Annotated[Store, Depends(store_of)]) -> Any:
    """Replace the contact list of a user and tell which of the contacts are users too.

    It is hashed and matched while it comes in; nothing is changed unless all of it is valid.
    """
    if not _is_json(request.headers.get("content-type", "")):
        message = "Input should be a valid dictionary or object to extract fields from"
        return _unprocessable([{"loc": ["body"], "msg": message, "type": "model_attributes_type"}])
    with store.upload() as upload:

        def take(contact: Contact) -> None:
            for value in (*contact.emails, *contact.phones):
                if value.strip():
                    upload.add(value)

        reader = ContactReader(take, upload.clear)
        try:
            async for piece in _pieces(request.stream()):
                await to_thread.run_sync(reader.feed, piece)
        except PartTooLargeError:
            raise HTTPException(413, f"a contact is larger than {MAX_PART_BYTES} bytes") from None
        await to_thread.run_sync(reader.finish)
        if reader.problems:
            return _unprocessable(reader.problems)
        replaced = await to_thread.run_sync(upload.replace_contacts, user_id)
    if replaced is None:
        raise HTTPException(404, f"there is no user {user_id}")
    hashes, matched = replaced
    return {"contacts": reader.count, "hashes": hashes, "matched": matched}


async def health() -> dict[str, str]:
    """Answer at once: it tells that the process lives."""
    return {"status": "ok"}


async def report_invalid_request(_: Request, error: Exception) -> JSONResponse:
    """Answer 422 with places and reasons, without the refused input."""
    assert isinstance(error, RequestValidationError)
    return _unprocessable(
        [{"loc": problem["loc"], "msg": problem["msg"], "type": problem["type"]} for problem in error.errors()]
    )


async def end_with_the_client(_: Request, error: Exception) -> Response:
    """Nobody is there to read it; without it the log would have a stack trace for every client that leaves."""
    return Response(status_code=400)


def create_app(data: Path, max_bytes: int) -> FastAPI:
    """Return the service; its data folder is made and seeded when the application starts.

    Args:
        data: The folder.
        max_bytes: Of an upload.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.store = Store(data)
        app.state.store.prepare()
        yield

    app = FastAPI(title="Contacts", lifespan=lifespan)
    app.add_middleware(BodyLimit, limit=max_bytes)
    app.add_middleware(RequestLog)
    app.add_exception_handler(RequestValidationError, report_invalid_request)
    app.add_exception_handler(ClientDisconnect, end_with_the_client)
    app.add_api_route("/health", health)
    app.include_router(router)
    return app


def _is_json(content_type: str) -> bool:
    kind, _, subtype = content_type.partition(";")[0].strip().lower().partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))


def _unprocessable(problems: list[dict[str, Any]]) -> JSONResponse:
    return JSONResponse({"detail": problems[:MAX_REPORTED_PROBLEMS]}, status_code=422)


async def _pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    piece = bytearray()
    async for chunk in chunks:
        piece += chunk
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)
