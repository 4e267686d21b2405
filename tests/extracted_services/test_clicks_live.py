"""Clicks from the client to the table: the gateway, MiniStack's Kinesis and DynamoDB, the function host."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from aws_endpoint import client, unique
from function_host import eventually, running_host
from running_process import REPOSITORY
from scripted_target import ScriptedTarget
from served import serving

from extracted_services.clicks.resources import create_clicks

CLICKS = REPOSITORY / "extracted_services" / "clicks"


def count_clicks(stream: str, table: str, failed: str) -> dict[str, Any]:
    """The function as its file has it, with the test's own stream, table and queue, and one attempt after the first."""
    text = (CLICKS / "functions.yaml").read_text()
    for default, name in (
        ("${CLICKS_STREAM:-clicks}", stream),
        ("${CLICKS_TABLE:-clicks}", table),
        ("${CLICKS_FAILED:-clicks-failed}", failed),
    ):
        assert default in text
        text = text.replace(default, name)
    functions: dict[str, Any] = yaml.safe_load(text)["functions"]
    function = functions["count-clicks"]
    function["code"] = str(CLICKS / function["code"])
    function["event_sources"][0]["maximum_retry_attempts"] = 1
    return functions


def table_of_rules() -> str:
    """The rules as their file has them, on a free port."""
    text, port = (CLICKS / "routes.yaml").read_text(), "${CLICKS_PORT:-8080}"
    assert port in text
    return text.replace(port, "PORT")


def test_clicks_are_counted_and_a_poisoned_one_stops_nothing(aws: str, tmp_path: Path) -> None:
    """Each 202 is counted once; what is no click ends at the failure destination, where it can be looked at."""
    stream, table, failed = unique("clicks"), unique("clicks"), unique("failed")
    create_clicks(stream, table, failed, shards=1)
    dynamodb, sqs = client("dynamodb", aws), client("sqs", aws)

    def counted() -> dict[str, int]:
        counts: dict[str, int] = {}
        for item in dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]:
            counts[item["page"]["S"]] = counts.get(item["page"]["S"], 0) + int(item["clicks"]["N"])
        return counts

    monolith = ScriptedTarget()
    environment = {"CLICKS_STREAM": stream, "MONOLITH_URL": f"http://127.0.0.1:{monolith.port}"}
    with (
        running_host(tmp_path, count_clicks(stream, table, failed)),
        serving(tmp_path, table_of_rules(), environment=environment) as served,
    ):
        gateway = served.client
        answers = [gateway.post("/api/clicks", json={"page": f"/{number % 3}"}) for number in range(30)]
        poison = gateway.post("/api/clicks", json={"page": 7, "card": "none"})
        answers += [gateway.post("/api/clicks", json={"page": f"/{number % 3}"}) for number in range(30)]
        refused = gateway.post("/api/clicks", json={"pages": "/"})

        eventually(lambda: sum(counted().values()) >= 60, "clicks are missing")
        url = sqs.get_queue_url(QueueName=failed)["QueueUrl"]
        attributes = ["ApproximateNumberOfMessages"]

        def told() -> bool:
            number = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=attributes)["Attributes"][attributes[0]]
            return int(number) > 0

        eventually(told, "nobody is told")
        shown = subprocess.run(
            [sys.executable, "-m", "extracted_services.clicks.failed", "--failed", failed],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        final = counted()
    monolith.close()
    dynamodb.close()
    sqs.close()

    assert {answer.status_code for answer in answers} == {202}
    assert poison.status_code == 202
    assert refused.status_code == 400
    assert final == {"/0": 20, "/1": 20, "/2": 20}
    (record,) = map(json.loads, shown)
    assert json.loads(base64.b64decode(record["data"])) == {"page": 7, "card": "none"}
    assert record["condition"] == "RetryAttemptsExhausted"
