"""The embedded AWS endpoint for tests: one a session, with boto3 clients that do not repeat calls by themselves."""

from __future__ import annotations

import uuid
from typing import Any

import boto3
from botocore.config import Config

from proxy.functions.embedded_aws import REGION


def client(service: str, endpoint: str, **config: Any) -> Any:
    """A boto3 client of `endpoint`; each call is sent once, so that a test can count."""
    return boto3.session.Session().client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0}, **config),
    )


def unique(name: str) -> str:
    """A name that no other test uses: the endpoint is shared."""
    return f"{name}-{uuid.uuid4().hex[:12]}"
