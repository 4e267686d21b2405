"""What the functions behind the bucket do with an event, without AWS: recorded events, and images."""

from __future__ import annotations

import io
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parser.models import S3EventNotificationEventBridgeModel, S3Model
from hypothesis import given
from hypothesis import strategies as st
from lambda_code import function_module
from photos import encoded, photo
from PIL import Image

from extracted_services.uploads.pictures import SIDES, Picture, read_head, sizes_of
from monolith_stub import images

UPLOADS = Path(__file__).resolve().parents[2] / "extracted_services" / "uploads"


@pytest.fixture
def resize(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return function_module(UPLOADS / "functions" / "resize" / "resize.py")


@pytest.fixture
def analyse(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return function_module(UPLOADS / "functions" / "analyse" / "analyse.py")


class FakeS3:
    """Objects in memory."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = dict(objects)

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:
        self.objects[Key] = Body


def notification(key: str, name: str = "ObjectCreated:Put") -> dict[str, Any]:
    """As S3 sends it (S3 guide, Event message structure)."""
    record = {
        "eventVersion": "2.5",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-11-01T10:00:00.000Z",
        "eventName": name,
        "userIdentity": {"principalId": "AWS:A"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "R", "x-amz-id-2": "I"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "resize",
            "bucket": {"name": "photos", "ownerIdentity": {"principalId": "A"}, "arn": "arn:aws:s3:::photos"},
            "object": {"key": key, "size": 7, "eTag": "0" * 32, "sequencer": "00A1"},
        },
    }
    event = {"Records": [record]}
    S3Model.model_validate(event)
    return event


def bus_event(key: str) -> dict[str, Any]:
    """As EventBridge sends it for a bucket with an EventBridgeConfiguration."""
    event = {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "000000000000",
        "time": "2026-11-01T10:00:00Z",
        "region": "us-east-1",
        "resources": ["arn:aws:s3:::photos"],
        "detail": {
            "version": "0",
            "bucket": {"name": "photos"},
            "object": {"key": key, "size": 7, "etag": "0" * 32, "sequencer": "00A1"},
            "request-id": "R",
            "requester": "000000000000",
            "source-ip-address": "127.0.0.1",
            "reason": "PutObject",
        },
    }
    S3EventNotificationEventBridgeModel.model_validate(event)
    return event


@pytest.mark.parametrize(
    ("event", "objects"),
    [
        pytest.param(notification("originals/7"), [("photos", "originals/7")], id="an original"),
        pytest.param(
            notification("originals/a+b%2Bc%C3%A9"), [("photos", "originals/a b+cé")], id="its key is form-urlencoded"
        ),
        pytest.param(
            notification("originals/7", "ObjectCreated:CompleteMultipartUpload"),
            [("photos", "originals/7")],
            id="a multipart upload is no Put",
        ),
        pytest.param(notification("resized/7/thumb.jpg"), [], id="what the function has made itself"),
        pytest.param(notification("originals/7", "ObjectRemoved:Delete"), [], id="nothing is left to resize"),
        pytest.param(
            {
                "Service": "Amazon S3",
                "Event": "s3:TestEvent",
                "Time": "2026-11-01T10:00:00.000Z",
                "Bucket": "photos",
                "RequestId": "R",
                "HostId": "H",
            },
            [],
            id="the test event has no records",
        ),
    ],
)
def test_which_objects_are_resized(resize: ModuleType, event: dict[str, Any], objects: list[tuple[str, str]]) -> None:
    assert resize.objects_of(event) == objects


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_sizes_are_the_monoliths_to_the_byte(
    resize: ModuleType, monkeypatch: pytest.MonkeyPatch, kind: str, orientation: int
) -> None:
    """And the answer to the upload, given before anything is resized, has their width and height."""
    body = photo(kind, 1900, 500, orientation)
    store = FakeS3(**{"originals/7": body})
    monkeypatch.setattr(resize, "s3", store)

    done = resize.handler(notification("originals/7"), None)

    expected = images.resize(body)
    assert done == {"resized": [f"resized/7/{name}.jpg" for name in SIDES]}
    assert {name: store.objects[f"resized/7/{name}.jpg"] for name in SIDES} == {
        name: picture for name, (picture, _, _) in expected.items()
    }
    assert sizes_of(read_head(body)) == {name: (width, height) for name, (_, width, height) in expected.items()}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"GIF89a",
        photo()[:200],
        encoded(Image.new("RGB", (9, 9)), "BMP"),
        encoded(Image.new("1", (8000, 8000)), "PNG"),
    ],
    ids=["nothing", "too short", "cut off", "another format", "too many pixels"],
)
def test_what_cannot_be_resized_is_an_error_of_the_function(
    resize: ModuleType, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """Lambda tells the failure destination; nothing is half done."""
    store = FakeS3(**{"originals/7": body})
    monkeypatch.setattr(resize, "s3", store)
    with pytest.raises((ValueError, OSError)):
        resize.handler(notification("originals/7"), None)
    assert set(store.objects) == {"originals/7"}


@given(st.integers(1, 9000), st.integers(1, 5000))
def test_sizes_are_told_as_pillow_makes_them(width: int, height: int) -> None:
    image = Image.new("1", (width, height))
    expected = {}
    for name, side in SIDES.items():
        image.thumbnail((side, side), Image.Resampling.NEAREST)
        expected[name] = image.size
    assert sizes_of(Picture("image/png", width, height)) == expected


def test_an_analysis_has_colours_and_no_place(analyse: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    items: list[dict[str, Any]] = []

    class Table:
        def put_item(self, **item: Any) -> None:
            items.append(item)

    monkeypatch.setenv("TABLE", "image-metadata")
    monkeypatch.setattr(analyse, "s3", FakeS3(**{"originals/a b+c": photo(width=300, height=200, orientation=6)}))
    monkeypatch.setattr(analyse, "dynamodb", Table())

    described = analyse.handler(bus_event("originals/a b+c"), None)

    assert (described["format"], described["width"], described["height"]) == ("JPEG", 200, 300)
    red, blue = (bytes.fromhex(colour[1:]) for colour in described["colours"][:2])
    assert red[0] > 150 > red[2]
    assert blue[2] > 150 > blue[0]
    assert described["exif"] == {"Make": "Kestrel", "Model": "K1", "Orientation": "6"}
    assert items[0]["TableName"] == "image-metadata"
    assert items[0]["Item"]["image"] == {"S": "a b+c"}
