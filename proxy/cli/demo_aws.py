"""What `strangler demo --aws` adds: uploads into a bucket and clicks into a stream, with functions behind them."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from proxy.functions.embedded_aws import aws_environment, embedded_aws

BUCKET: Final = "photos"
FUNCTIONS: Final = ("uploads", "clicks")
"""Examples with functions: a host for the `functions.yaml` of each."""
SHIFTS: Final = {"uploads": {"monolith": 0, "uploads": 100}}

_WITHOUT_AWS: Final = ("own-images", "uploads", "clicks-preview", "clicks")
_NEVER: Final = ("nightly-report",)
"""What the demo has nobody for, rule or target group: the scheduler is of the containers only."""


@contextlib.contextmanager
def aws_for(wanted: bool) -> Iterator[Mapping[str, str]]:
    """Run an AWS endpoint if it is wanted; give the variables that point at it, none if it is not.

    Raises:
        EmbeddedAwsError: It cannot be installed or started.
    """
    if not wanted:
        yield {}
        return
    with embedded_aws() as endpoint:
        yield aws_environment(endpoint)


def with_what_runs(table: str, *, aws: bool) -> str:
    """The repository's `routes.yaml` without the rules and target groups of what this demo does not start.

    They stand in paragraphs of their own, as every rule and every group of that file.
    """
    names = "|".join(_NEVER if aws else (*_WITHOUT_AWS, *_NEVER))
    left_out = re.compile(rf" +(- name: )?({names})(:? +#.*|:|)")
    return "\n\n".join(part for part in table.split("\n\n") if not left_out.fullmatch(part.partition("\n")[0]))


def create_resources(repository: Path, functions_url: str, environment: Mapping[str, str]) -> None:
    """Make stream, bucket, tables, queues and subscriptions.

    Args:
        repository: Where the examples are.
        functions_url: The function host that the bucket's events go to.
        environment: What points at the AWS endpoint, beside the usual.

    Raises:
        subprocess.CalledProcessError: One of them cannot be made; its `stderr` says why.
    """
    for arguments in (
        ["extracted_services.clicks.resources", "--shards", "1"],
        ["extracted_services.uploads.resources", "--bucket", BUCKET, "--functions", functions_url, "--analysis"],
    ):
        command = [sys.executable, "-m", *arguments]
        subprocess.run(command, cwd=repository, env=dict(environment), check=True, capture_output=True, text=True)
