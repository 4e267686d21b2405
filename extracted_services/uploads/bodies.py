"""The image in a request, in parts of one size: never more than one part of it is in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile

MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp")
_CHUNK_BYTES = 256 * 1024


@asynccontextmanager
async def image_chunks(request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
    """Give the bytes of the image as they come: of the raw body, or of the first file of a multipart form.

    A form is read first, into a temporary file.

    Raises:
        HTTPException: 415 for another media type, 422 for a form without a file.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in MEDIA_TYPES:
        yield request.stream()
        return
    if media_type != "multipart/form-data":
        raise HTTPException(415, f"send {', '.join(MEDIA_TYPES)} or multipart/form-data")
    async with request.form(max_files=1, max_fields=10) as form:
        file = next((value for value in form.values() if isinstance(value, UploadFile)), None)
        if file is None:
            raise HTTPException(422, "the form has no file")
        yield _chunks_of(file)


async def parts_of(chunks: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """Yield the same bytes in parts of `size`; only the last one is shorter, and empty if there is nothing."""
    part = bytearray()
    async for chunk in chunks:
        part += chunk
        while len(part) > size:
            yield bytes(part[:size])
            del part[:size]
    yield bytes(part)


async def _chunks_of(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(_CHUNK_BYTES):
        yield chunk
