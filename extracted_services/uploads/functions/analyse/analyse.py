"""`analyse.handler`: what an original looks like, into a table. Runs twice without harm: the item is the same."""

import io
import os
from typing import Any

import boto3
from botocore.config import Config
from PIL import ExifTags, Image, ImageOps

ORIGINALS = "originals/"
MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 50_000_000
COLOURS = 5
_SAMPLE_SIDE = 64
_TAGS = ("Make", "Model", "DateTime", "Software", "Orientation")
"""What is kept of EXIF. Where a photo was taken, and serial numbers, are nobody's business here."""
_TEXT_LIMIT = 200

s3: Any = boto3.client("s3", config=Config(s3={"addressing_style": os.environ.get("S3_ADDRESSING_STYLE", "auto")}))
dynamodb: Any = boto3.client("dynamodb")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Describe the object of an EventBridge event; in these, unlike in notifications, keys are not encoded."""
    bucket, key = event["detail"]["bucket"]["name"], event["detail"]["object"]["key"]
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise ValueError(f"{key} has more than {MAX_BYTES} bytes")
    described = describe(body)
    dynamodb.put_item(
        TableName=os.environ["TABLE"],
        Item={
            "image": {"S": key.removeprefix(ORIGINALS)},
            "format": {"S": described["format"]},
            "width": {"N": str(described["width"])},
            "height": {"N": str(described["height"])},
            "bytes": {"N": str(len(body))},
            "colours": {"L": [{"S": colour} for colour in described["colours"]]},
            "exif": {"M": {name: {"S": value} for name, value in described["exif"].items()}},
        },
    )
    return described


def describe(body: bytes) -> dict[str, Any]:
    """Return format, upright width and height, dominant colours (most frequent first) and some of EXIF.

    Raises:
        ValueError, OSError: It is no complete JPEG, PNG or WebP, or has too many pixels.
    """
    with Image.open(io.BytesIO(body), formats=["JPEG", "PNG", "WEBP"]) as opened:
        if opened.width * opened.height > MAX_PIXELS:
            raise ValueError(f"the image has more than {MAX_PIXELS} pixels")
        exif, kind = opened.getexif(), opened.format
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    named = {ExifTags.TAGS.get(tag, ""): str(value)[:_TEXT_LIMIT] for tag, value in exif.items()}
    return {
        "format": kind,
        "width": upright.width,
        "height": upright.height,
        "colours": dominant_colours(upright),
        "exif": {name: named[name] for name in _TAGS if name in named},
    }


def dominant_colours(image: Image.Image) -> list[str]:
    """Return at most `COLOURS` colours as `#rrggbb`, the most frequent first."""
    sample = image.copy()
    sample.thumbnail((_SAMPLE_SIDE, _SAMPLE_SIDE))
    reduced = sample.quantize(COLOURS)
    palette = reduced.getpalette() or []
    counted: list[Any] = sorted(reduced.getcolors() or [], reverse=True)
    return ["#" + bytes(palette[3 * index : 3 * index + 3]).hex() for _, index in counted]
