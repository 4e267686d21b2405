"""One AWS endpoint for all tests of a worker process, and the environment that points boto3 at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proxy.functions.embedded_aws import aws_environment, embedded_aws


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    with embedded_aws() as endpoint:
        yield endpoint


@pytest.fixture
def aws(aws_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The endpoint, for the host in this process as well; a poll in progress does not hold up its end."""
    for name, value in aws_environment(aws_endpoint).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("proxy.functions.sqs_poller.LONG_POLL_SECONDS", 1)
    return aws_endpoint
