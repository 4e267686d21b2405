"""Calls of AWS, or of what AWS_ENDPOINT_URL names: boto3, in threads."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

MAX_CALLS = 64
"""Calls at the same time; a queue that is polled has one nearly always."""


class DeliveryError(Exception):
    """Something could not be sent or received; the message says what AWS or the network answered."""


class Aws:
    """Calls services of one region; clients are made when first needed.

    Endpoint and credentials are those of the environment, as for every AWS SDK; without AWS_ENDPOINT_URL, the cloud.
    """

    def __init__(self, region: str) -> None:
        self.region = region
        self._threads = ThreadPoolExecutor(MAX_CALLS, "aws")
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call one operation, by its name in boto3: `call("sqs", "send_message", QueueUrl=...)`.

        Raises:
            DeliveryError: The call failed, after the retries that boto3 makes.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._call, service, operation, parameters
        )

    def close(self) -> None:
        """Close every client once the calls in progress have ended."""
        self._threads.shutdown(wait=True)
        for client in self._clients.values():
            client.close()

    def _call(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        try:
            import botocore.exceptions
        except ImportError:
            raise DeliveryError("boto3 is missing: pip install 'strangler-fig[functions]'") from None
        try:
            answer: dict[str, Any] = getattr(self._client(service), operation)(**parameters)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise DeliveryError(f"{service} {operation}: {error}") from None
        return answer

    def _client(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                import boto3
                from botocore.config import Config

                config = Config(
                    connect_timeout=5,
                    read_timeout=30,
                    retries={"max_attempts": 3, "mode": "standard"},
                    max_pool_connections=MAX_CALLS,
                )
                session = boto3.session.Session(region_name=self.region)
                self._clients[service] = session.client(service, config=config)
            return self._clients[service]


def region_of(env: os._Environ[str] | dict[str, str]) -> str:
    """The region that the environment names, else us-east-1."""
    return env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1"
