"""What the head of an image tells: enough to refuse what is none, and to say how large its sizes will be."""

import io
import math
from typing import NamedTuple

from fastapi import HTTPException
from PIL import Image, UnidentifiedImageError

SIDES = {"large": 1600, "medium": 960, "small": 480, "thumb": 160}
MAX_PIXELS = 50_000_000
_FORMATS = ("JPEG", "PNG", "WEBP")
_ORIENTATION = 0x0112
_LYING = (5, 6, 7, 8)
"""Orientations (Exif 2.3, 4.6.4 A) with width and height exchanged."""


class Picture(NamedTuple):
    """An image as a viewer sees it, upright."""

    media_type: str
    width: int
    height: int


def read_head(head: bytes) -> Picture:
    """Return what the first bytes say about the image; nothing is decoded.

    Raises:
        HTTPException: 413 for too many pixels, 422 for what is no JPEG, PNG or WebP.
    """
    try:
        with Image.open(io.BytesIO(head), formats=list(_FORMATS)) as opened:
            width, height, media_type = opened.width, opened.height, opened.get_format_mimetype()
            # Not PNG's own method, which decodes the image to look behind it.
            lies = Image.Image.getexif(opened).get(_ORIENTATION) in _LYING
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise HTTPException(422, "this is not a complete JPEG, PNG or WebP image") from error
    if width * height > MAX_PIXELS:
        raise HTTPException(413, f"the image has more than {MAX_PIXELS} pixels")
    return Picture(media_type or "image/jpeg", *((height, width) if lies else (width, height)))


def sizes_of(picture: Picture) -> dict[str, tuple[int, int]]:
    """Return width and height of each size, each made from the one before, as the function makes them."""
    sizes = {}
    size = (picture.width, picture.height)
    for name, side in SIDES.items():
        size = sizes[name] = _fitted(*size, side)
    return sizes


def _fitted(width: int, height: int, side: int) -> tuple[int, int]:
    """Pillow's `Image.thumbnail`: the longer side becomes `side`, the other what changes the proportion least."""
    if width <= side and height <= side:
        return width, height
    aspect = width / height
    if aspect <= 1:
        exact = side * aspect
        return max(1, min(math.floor(exact), math.ceil(exact), key=lambda number: abs(aspect - number / side))), side
    exact = side / aspect
    rounded = min(math.floor(exact), math.ceil(exact), key=lambda number: abs(aspect - side / number) if number else 0)
    return side, max(1, rounded)
