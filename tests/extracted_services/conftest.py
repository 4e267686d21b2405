import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.functions.embedded_aws import aws_environment, embedded_aws

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "monolith_stub")]


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    with embedded_aws() as endpoint:
        yield endpoint


@pytest.fixture
def aws(aws_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An AWS endpoint on this machine, for this process and those that it starts."""
    for name, value in aws_environment(aws_endpoint).items():
        monkeypatch.setenv(name, value)
    return aws_endpoint
