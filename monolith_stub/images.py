"""Product and profile photos: uploaded once, resized on the server into several sizes."""

import io
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import FileResponse
from PIL import Image, ImageOps, UnidentifiedImageError
from starlette.datastructures import UploadFile

from monolith_stub.api import Here, Id, Shop, not_found

router = APIRouter(prefix="/api/images", tags=["images"])

SIDES = {"large": 1600, "medium": 960, "small": 480, "thumb": 160}
FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
# A decoded pixel takes four bytes and more: the limit is what keeps a small file from filling the memory.
MAX_PIXELS = 50_000_000
# The newest are kept, so that a demo left running does not fill the disk.
MAX_IMAGES = 500
_JPEG_QUALITY = 85

Size = Literal["large", "medium", "small", "thumb"]


async def image_body(request: Request) -> bytes:
    """Return the bytes of the image: the raw body, or the first file of a multipart form."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type in FORMATS:
        return await request.body()
    if content_type != "multipart/form-data":
        raise HTTPException(415, f"send {', '.join(FORMATS)} or multipart/form-data")
    async with request.form(max_files=1, max_fields=10) as form:
        for value in form.values():
            if isinstance(value, UploadFile):
                return await value.read()
    raise HTTPException(422, "the form has no file")


@router.post("", status_code=201)
def upload_image(body: Annotated[bytes, Depends(image_body)], shop: Here, response: Response) -> dict[str, Any]:
    """Store an image in four sizes as JPEG; 413 for too many pixels, 422 for what is no image."""
    sizes = resize(body)
    with shop.database.write() as connection:
        image_id = connection.execute("INSERT INTO images DEFAULT VALUES").lastrowid
        assert image_id is not None
        connection.execute("DELETE FROM images WHERE id <= ?", (image_id - MAX_IMAGES,))
    described = {}
    for name, (picture, width, height) in sizes.items():
        _file(shop, image_id, name).write_bytes(picture)
        path = f"/api/images/{image_id}/{name}"
        described[name] = {"path": path, "width": width, "height": height, "bytes": len(picture)}
    for name in SIDES:
        _file(shop, image_id - MAX_IMAGES, name).unlink(missing_ok=True)
    response.headers["Location"] = f"/api/images/{image_id}/large"
    return {"id": image_id, "sizes": described}


@router.get("/{image_id}/{size}")
def read_image(image_id: Id, size: Size, shop: Here) -> FileResponse:
    """Return one size of an image."""
    file = _file(shop, image_id, size)
    if not file.exists():
        raise not_found("image", image_id)
    return FileResponse(file, media_type="image/jpeg")


def resize(body: bytes) -> dict[str, tuple[bytes, int, int]]:
    """Return for each name in `SIDES` the JPEG that fits into such a square, with its width and height."""
    try:
        with Image.open(io.BytesIO(body), formats=list(FORMATS.values())) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise HTTPException(413, f"the image has more than {MAX_PIXELS} pixels")
            upright = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise HTTPException(422, "this is not a complete JPEG, PNG or WebP image") from error
    sizes = {}
    fitted = upright
    for name, side in SIDES.items():
        # Each size is made from the one before: only the first has to read all pixels.
        fitted.thumbnail((side, side), Image.Resampling.LANCZOS)
        encoded = io.BytesIO()
        fitted.save(encoded, "JPEG", quality=_JPEG_QUALITY, optimize=True)
        sizes[name] = (encoded.getvalue(), fitted.width, fitted.height)
    return sizes


def _file(shop: Shop, image_id: int, size: str) -> Path:
    return shop.images / f"{image_id}-{size}.jpg"
