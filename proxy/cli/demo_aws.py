"""What `strangler demo --aws` adds: uploads into a bucket and clicks into a stream, with functions behind them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from proxy.functions.embedded_aws import aws_environment, embedded_aws

BUCKET: Final = "photos"
FUNCTIONS: Final = ("uploads", "clicks")
"""Examples with functions: a host for the `functions.yaml` of each."""
BEFORE: Final = {"uploads": {"monolith": 100, "uploads": 0}}
SHIFTS: Final = {"uploads": {"monolith": 0, "uploads": 100}}

_RULES: Final = """
      - name: own-images                      # BY PATH: the number says whose image it is; the demo adds these rules
        priority: 110
        conditions:
          - path-pattern: {regex: "^/api/images/9[0-9]{11}/"}
        forward: uploads

      - name: uploads                         # BY METHOD AND PATH: each side serves what it has taken
        priority: 120
        conditions:
          - http-request-method: POST
          - path-pattern: /api/images
        forward: {monolith: 90, uploads: 10}

      - name: clicks                          # STORAGE FIRST: no code runs between the client and the stream
        priority: 130
        conditions:
          - http-request-method: POST
          - path-pattern: /api/clicks
        forward: clicks
"""
_GROUPS: Final = """
  uploads:
    targets:
      - ${UPLOADS_URL}
    health_check: {path: /health, interval_seconds: 5, timeout_seconds: 2, healthy_threshold_count: 2}

  clicks:
    local:
      event:
        integration_subtype: Kinesis-PutRecord
        request_parameters:
          StreamName: clicks
          Data: $request.body
          PartitionKey: $request.body.page
"""


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


def with_aws(table: str) -> str:
    """The repository's `routes.yaml` with the rules and target groups of uploads and clicks."""
    listeners, groups, rest = table.partition("\ntarget_groups:")
    return listeners.rstrip("\n") + "\n" + _RULES + groups + rest.rstrip("\n") + "\n" + _GROUPS


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
