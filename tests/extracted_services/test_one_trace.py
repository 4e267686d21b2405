"""One trace from the client through gateway, users, topic, queues, worker and function, seen by a real collector."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from aws_endpoint import client, unique
from email_team import Worker, eventually, teams, worker
from function_host import RunningHost, function, running_host
from otlp_collector import Collector, Received, collecting
from running_process import Running, running
from served import Served, serving

from proxy.tracing.export import open_export

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SIGNUP = {"email": "ada@example.org", "name": "Ada", "password": "correct horse", "city": "London"}
TABLE = """
version: 1
listeners:
- port: PORT
  name: web
  default: {forward: users}
  rules:
  - {name: signup, priority: 10, conditions: [{path-pattern: /api/users}], forward: users}
target_groups:
  users: {targets: ["%s"], health_check: {path: /health}}
transactions: {names: ["POST /api/users"]}
"""
ALL = {"gateway server", "gateway client", "users server", "users producer", "email consumer", "functions consumer"}


@dataclass
class Shop:
    """Everything at work, and the collector that all of it tells."""

    collector: Collector
    gateway: Served
    users: Running
    email: Worker
    host: RunningHost
    access_log: Path
    rewrites: bool

    def spans_of(self, trace_id: str) -> dict[str, Received]:
        """All parts' spans, once they are there."""
        assert eventually(lambda: self.collector.of(trace_id).keys() >= ALL), (
            self.collector.of(trace_id),
            self.gateway.log.read_text(),
            self.users.log.read_text(),
            self.email.log.read_text(),
        )
        return self.collector.of(trace_id)

    def logged(self) -> dict[str, set[str]]:
        """The trace ids in the lines of each part that belong to a request, a message or an invocation."""
        users = [json.loads(line) for line in re.findall(r"^\{.*\}$", self.users.log.read_text(), re.MULTILINE)]
        about = re.compile(r"POST |event \d+ delivered")
        return {
            "gateway": {json.loads(line)["trace_id"] for line in self.access_log.read_text().splitlines()},
            "users": {line.get("trace_id", "") for line in users if about.match(line["message"])},
            "email": {line["trace_id"] for line in self.email.said("mail sent")},
            "functions": {line["trace_id"] for line in self.host.records if "request_id" in line},
        }


@pytest.fixture(params=[True, False], ids=["traceparent rewritten", "headers as behind the load balancer"])
def shop(request: pytest.FixtureRequest, aws_endpoint: str, aws: str, tmp_path: Path) -> Iterator[Shop]:
    with ExitStack() as stack:
        collector = stack.enter_context(collecting())
        both = stack.enter_context(teams(aws_endpoint))
        telling = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        queue_arn = _second_queue(aws_endpoint, both.topic_arn)
        welcome = function("app.echo", event_sources=[{"event_source_arn": queue_arn, "batch_size": 1}])
        spans = open_export(f"{collector.endpoint}/v1/traces", "functions", "0", {"OTEL_BSP_SCHEDULE_DELAY": "50"})
        stack.callback(spans.close)
        host = stack.enter_context(running_host(tmp_path, {"welcome": welcome}, spans=spans))
        users = stack.enter_context(
            running("extracted_services.users", tmp_path / "users", {**both.environment, **telling})
        )
        email = stack.enter_context(worker(both, tmp_path / "email", telling))
        folder = tmp_path / "gateway"
        folder.mkdir()
        flags = ["--otlp-endpoint", collector.endpoint, "--access-log", str(folder / "access.log")]
        if request.param:
            flags.append("--rewrite-traceparent")
        table = TABLE % str(users.http.base_url).rstrip("/")
        gateway = stack.enter_context(serving(folder, table, *flags, environment=telling))
        yield Shop(collector, gateway, users, email, host, folder / "access.log", request.param)


def _second_queue(endpoint: str, topic_arn: str) -> str:
    """A queue of another team on the same topic, for a function."""
    sqs, sns = client("sqs", endpoint), client("sns", endpoint)
    url = sqs.create_queue(QueueName=unique("welcome"))["QueueUrl"]
    arn: str = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    sqs.close()
    sns.close()
    return arn


def test_a_request_with_a_traceparent(shop: Shop) -> None:
    """Also when the gateway leaves it alone: then the client is the parent of its span and of the target's."""
    answer = shop.gateway.client.post("/api/users", json=SIGNUP, headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
    assert answer.status_code == 201
    spans = shop.spans_of(TRACE)

    server, asked = spans["gateway server"], spans["gateway client"]
    assert server.parent_id == SPAN
    assert asked.parent_id == server.span_id
    assert spans["users server"].parent_id == (asked.span_id if shop.rewrites else SPAN)
    _assert_behind_users(spans)
    assert server.name == asked.name == "POST /api/users"
    assert server.attributes["http.route"] == spans["users server"].attributes["http.route"] == "/api/users"
    assert server.attributes["strangler.rule"] == "signup"
    assert server.attributes["http.response.status_code"] == asked.attributes["http.response.status_code"] == 201
    assert not any(span.failed for span in spans.values())
    assert eventually(lambda: set(shop.logged()) == {part for part, ids in shop.logged().items() if TRACE in ids})
    assert {part: ids for part, ids in shop.logged().items() if ids != {TRACE}} == {}


def test_a_request_without_a_trace(shop: Shop) -> None:
    """The gateway begins one, as the load balancer does; it names no parent unless it is told to."""
    assert shop.gateway.client.post("/api/users", json=SIGNUP).status_code == 201
    assert eventually(lambda: shop.access_log.exists() and shop.access_log.read_text().endswith("\n"))
    (line,) = map(json.loads, shop.access_log.read_text().splitlines())
    trace_id = line["trace_id"]
    assert line["amzn_trace_id"].startswith(f"Root=1-{trace_id[:8]}-{trace_id[8:]}")
    spans = shop.spans_of(trace_id)

    assert spans["gateway server"].parent_id == ""
    assert spans["gateway client"].parent_id == spans["gateway server"].span_id
    assert spans["users server"].parent_id == (spans["gateway client"].span_id if shop.rewrites else "")
    _assert_behind_users(spans)
    assert eventually(lambda: all(shop.logged().values()))
    assert {part: ids for part, ids in shop.logged().items() if ids != {trace_id}} == {}


def test_a_trace_that_is_not_recorded_is_in_the_logs_alone(shop: Shop) -> None:
    not_recorded = {"traceparent": f"00-{TRACE}-{SPAN}-00"}
    assert shop.gateway.client.post("/api/users", json=SIGNUP, headers=not_recorded).status_code == 201
    assert eventually(lambda: all(TRACE in ids for ids in shop.logged().values()))
    other = {**SIGNUP, "email": "grace@example.org"}
    recorded = {"traceparent": f"00-{TRACE[::-1]}-{SPAN}-01"}
    assert shop.gateway.client.post("/api/users", json=other, headers=recorded).status_code == 201
    shop.spans_of(TRACE[::-1])
    assert shop.collector.of(TRACE) == {}


def _assert_behind_users(spans: dict[str, Received]) -> None:
    """What users sent has two readers, each below the sending."""
    assert spans["users producer"].parent_id == spans["users server"].span_id
    assert spans["email consumer"].parent_id == spans["users producer"].span_id
    assert spans["functions consumer"].parent_id == spans["users producer"].span_id
