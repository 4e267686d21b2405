"""The bucket: originals go in as they come, sizes are read once the function has put them there."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, NamedTuple

import boto3
from anyio import to_thread
from botocore.config import Config
from botocore.exceptions import ClientError

PART_BYTES = 5 * 1024 * 1024
"""The least that S3 takes as a part of a multipart upload, but for the last one."""
_POLL_SECONDS = 0.1
_MISSING = ("NoSuchKey", "404", "NotFound")


class Stored(NamedTuple):
    """An object of the bucket."""

    body: bytes
    etag: str


class Bucket:
    """One bucket, at the endpoint that the environment names. boto3 blocks, so every call has a thread."""

    def __init__(self, name: str) -> None:
        self.name = name
        # Path style: an endpoint on this machine has no host name for each bucket.
        style = {"addressing_style": "path"}
        self._s3: Any = boto3.client(
            "s3", config=Config(connect_timeout=5, read_timeout=30, retries={"max_attempts": 3}, s3=style)
        )

    def close(self) -> None:
        """Close the connections."""
        self._s3.close()

    async def has_original(self, image_id: int) -> bool:
        """Tell whether there is an image with this number."""
        try:
            await self._call(self._s3.head_object, Key=original_key(image_id))
        except ClientError as error:
            if _is_missing(error):
                return False
            raise
        return True

    async def store(self, image_id: int, media_type: str, first: bytes, others: AsyncIterator[bytes]) -> None:
        """Put an original there in one step, or as a multipart upload: it is there whole or not at all.

        Args:
            image_id: Its number.
            media_type: Its Content-Type.
            first: The first part.
            others: The other parts, each of `PART_BYTES` but for the last.
        """
        key = original_key(image_id)
        if len(first) < PART_BYTES:
            await self._call(self._s3.put_object, Key=key, Body=first, ContentType=media_type)
            return
        started = await self._call(self._s3.create_multipart_upload, Key=key, ContentType=media_type)
        upload = {"Key": key, "UploadId": started["UploadId"]}
        try:
            parts = [await self._upload_part(upload, 1, first)]
            async for part in others:
                parts.append(await self._upload_part(upload, len(parts) + 1, part))
            await self._call(self._s3.complete_multipart_upload, MultipartUpload={"Parts": parts}, **upload)
        except BaseException:
            # Parts that nobody completes are kept, and charged for; a client that leaves cancels this task.
            await asyncio.shield(self._call(self._s3.abort_multipart_upload, **upload))
            raise

    async def read_size(self, image_id: int, size: str, patience: float) -> Stored | None:
        """Return one size of an image, None if there is none within `patience` seconds.

        It waits only for an image that is there and has not been resized yet.
        """
        deadline = time.monotonic() + patience
        while (stored := await self._read(resized_key(image_id, size))) is None:
            if time.monotonic() > deadline or not await self.has_original(image_id):
                return None
            await asyncio.sleep(_POLL_SECONDS)
        return stored

    async def _read(self, key: str) -> Stored | None:
        def read() -> Stored:
            answer = self._s3.get_object(Bucket=self.name, Key=key)
            with answer["Body"] as body:
                return Stored(body.read(), answer["ETag"])

        try:
            return await to_thread.run_sync(read)
        except ClientError as error:
            if _is_missing(error):
                return None
            raise

    async def _upload_part(self, upload: dict[str, str], number: int, part: bytes) -> dict[str, Any]:
        answer = await self._call(self._s3.upload_part, PartNumber=number, Body=part, **upload)
        return {"PartNumber": number, "ETag": answer["ETag"]}

    async def _call(self, operation: Callable[..., Any], **parameters: Any) -> Any:
        return await to_thread.run_sync(partial(operation, Bucket=self.name, **parameters))


def original_key(image_id: int) -> str:
    """Where an upload lands; the functions watch this prefix."""
    return f"originals/{image_id}"


def resized_key(image_id: int, size: str) -> str:
    """Where the resize function puts a size: not under the prefix that it watches, which would never end."""
    return f"resized/{image_id}/{size}.jpg"


def _is_missing(error: ClientError) -> bool:
    return error.response["Error"]["Code"] in _MISSING
