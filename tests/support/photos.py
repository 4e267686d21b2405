"""Images for tests, small in pixels or large in bytes, with what a camera writes into them."""

from __future__ import annotations

import io
import random

from PIL import ExifTags, Image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of an image file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo(kind: str = "JPEG", width: int = 300, height: int = 200, orientation: int = 1) -> bytes:
    """Two thirds red and a third blue, by a camera, where it was taken within."""
    image = Image.new("RGB", (width, height), (200, 16, 16))
    image.paste((16, 16, 200), (0, 0, width // 3, height))
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Kestrel"
    exif[ExifTags.Base.Model] = "K1"
    exif[ExifTags.Base.Orientation] = orientation
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return encoded(image, kind, exif=exif)


def noise(width: int = 1800, height: int = 1200) -> bytes:
    """A PNG of more than 5 MiB: nothing compresses it."""
    return encoded(Image.frombytes("RGB", (width, height), random.Random(1).randbytes(3 * width * height)), "PNG")
