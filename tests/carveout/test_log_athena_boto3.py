"""Athena's own client against an endpoint: what is sent, and results page by page."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mixed_log import mixed_log
from scripted_athena import ScriptedAthena

from proxy.cli import main

pytestmark = pytest.mark.system


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedAthena]:
    """Answers Athena's JSON protocol as the scripted client does."""
    athena = ScriptedAthena(mixed_log(), page=5)
    calls = {
        "StartQueryExecution": athena.start_query_execution,
        "GetQueryExecution": athena.get_query_execution,
        "GetQueryResults": athena.get_query_results,
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            name = self.headers["X-Amz-Target"].rpartition(".")[2]
            arguments = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            arguments.pop("ClientRequestToken", None)
            body = json.dumps(calls[name](**arguments)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("proxy.carveout.logs.athena._POLL_SECONDS", 0)
    yield athena
    server.shutdown()
    server.server_close()
    thread.join()
    athena.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_candidates_through_boto3(endpoint: ScriptedAthena, capsys: pytest.CaptureFixture[str]) -> None:
    """boto3 keeps its connections until it is collected, hence the filter."""
    location = "s3://logs/AWSLogs/123456789012/elasticloadbalancing/eu-west-1/"
    code = main(["candidates", "--engine", "athena", "--from", location, "--athena-output", "s3://results/", "--json"])
    out, err = capsys.readouterr()

    assert code == 0
    assert json.loads(out)["candidates"]
    assert "401 lines (alb)" in err
    assert "Athena scanned 8000 bytes" in err
    assert endpoint.statements[0].startswith("CREATE EXTERNAL TABLE IF NOT EXISTS strangler_alb_logs_")
    assert {one["ResultConfiguration"]["OutputLocation"] for one in endpoint.arguments} == {"s3://results/"}


def test_without_a_region_it_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")

    assert main(["candidates", "--engine", "athena", "--athena-table", "logs"]) == 2
    assert "Athena cannot be asked: You must specify a region" in capsys.readouterr().err
