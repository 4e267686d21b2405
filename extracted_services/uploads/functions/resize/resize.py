"""`resize.handler`: each original that S3 tells of becomes four JPEGs beside it. Runs twice without harm."""

import io
import os
from typing import Any
from urllib.parse import unquote_plus

import boto3
from botocore.config import Config
from PIL import Image, ImageOps

ORIGINALS = "originals/"
RESIZED = "resized/"
"""Not under `ORIGINALS`, or each result would be resized again, without end."""
SIDES = {"large": 1600, "medium": 960, "small": 480, "thumb": 160}
MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 50_000_000
_QUALITY = 85

s3: Any = boto3.client("s3", config=Config(s3={"addressing_style": os.environ.get("S3_ADDRESSING_STYLE", "auto")}))


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Resize what the event names; an exception makes Lambda try again, and then tell the failure destination."""
    keys = []
    for bucket, key in objects_of(event):
        image_id = key.removeprefix(ORIGINALS)
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise ValueError(f"{key} has more than {MAX_BYTES} bytes")
        for name, picture in resize(body).items():
            keys.append(f"{RESIZED}{image_id}/{name}.jpg")
            s3.put_object(Bucket=bucket, Key=keys[-1], Body=picture, ContentType="image/jpeg")
    return {"resized": keys}


def objects_of(event: dict[str, Any]) -> list[tuple[str, str]]:
    """Return bucket and key of each original in an S3 notification (S3 guide).

    Keys are form-urlencoded there. The `s3:TestEvent`, sent when a notification is configured, has no records.
    """
    named = [
        (record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"]))
        for record in event.get("Records", ())
        if record["eventName"].startswith("ObjectCreated:")
    ]
    return [(bucket, key) for bucket, key in named if key.startswith(ORIGINALS)]


def resize(body: bytes) -> dict[str, bytes]:
    """Return for each name in `SIDES` the JPEG that fits into such a square.

    Raises:
        ValueError, OSError: It is no complete JPEG, PNG or WebP, or has too many pixels.
    """
    with Image.open(io.BytesIO(body), formats=["JPEG", "PNG", "WEBP"]) as opened:
        if opened.width * opened.height > MAX_PIXELS:
            raise ValueError(f"the image has more than {MAX_PIXELS} pixels")
        fitted = ImageOps.exif_transpose(opened).convert("RGB")
    sizes = {}
    for name, side in SIDES.items():
        # Each size is made from the one before: only the first has to read all pixels.
        fitted.thumbnail((side, side), Image.Resampling.LANCZOS)
        encoded = io.BytesIO()
        fitted.save(encoded, "JPEG", quality=_QUALITY, optimize=True)
        sizes[name] = encoded.getvalue()
    return sizes
