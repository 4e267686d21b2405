import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "monolith_stub")]


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    """One AWS endpoint for all tests of a worker process; names in it are never used twice."""
    from proxy.functions.embedded_aws import embedded_aws

    with embedded_aws() as endpoint:
        yield endpoint


@pytest.fixture
def aws(aws_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same endpoint, for this process and those that it starts."""
    from proxy.functions.embedded_aws import aws_environment

    for name, value in aws_environment(aws_endpoint).items():
        monkeypatch.setenv(name, value)
    return aws_endpoint
