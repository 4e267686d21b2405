"""The AWS endpoint that demo and tests start for themselves."""

import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from aws_endpoint import client, unique
from function_host import eventually

from proxy.functions.embedded_aws import EmbeddedAwsError, cache_folder, embedded_aws


def test_a_client_reaches_it_while_the_block_lasts() -> None:
    with embedded_aws() as endpoint:
        sqs = client("sqs", endpoint)
        url = sqs.create_queue(QueueName=unique("orders"))["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="one")
        assert [message["Body"] for message in sqs.receive_message(QueueUrl=url)["Messages"]] == ["one"]
        sqs.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=5)


def test_it_listens_on_loopback_only() -> None:
    with embedded_aws() as endpoint:
        port = int(endpoint.rpartition(":")[2])
        with socket.socket() as elsewhere:
            elsewhere.settimeout(5)
            with pytest.raises(ConnectionRefusedError):
                elsewhere.connect(("127.0.0.2", port))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_it_ends_with_whoever_started_it(number: signal.Signals) -> None:
    """It runs uploaded code: it must not stay behind with nobody who knows of it."""
    code = (
        "import time\n"
        "from proxy.functions.embedded_aws import embedded_aws\n"
        "with embedded_aws() as endpoint: print(endpoint, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as starter:
        try:
            assert starter.stdout is not None
            port = int(starter.stdout.readline().rpartition(":")[2])
            socket.create_connection(("127.0.0.1", port), 5).close()
        finally:
            starter.send_signal(number)

    def is_gone() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    eventually(is_gone, "it is still there")


@pytest.mark.parametrize(
    ("env", "folder"),
    [
        ({"STRANGLER_CACHE": "/c", "XDG_CACHE_HOME": "/x"}, Path("/c")),
        ({"XDG_CACHE_HOME": "/x"}, Path("/x/strangler-fig")),
        ({"STRANGLER_CACHE": "", "XDG_CACHE_HOME": ""}, Path.home() / ".cache" / "strangler-fig"),
    ],
    ids=["the project's own variable first", "then the desktop's", "then the usual place"],
)
def test_where_it_is_kept(env: dict[str, str], folder: Path) -> None:
    assert cache_folder(env) == folder


def test_a_failed_installation_says_what_pip_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.functions.embedded_aws.MINISTACK", "ministack==0.0.0.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with (
        pytest.raises(EmbeddedAwsError, match=r"(?s)cannot install ministack==0\.0\.0\.0.*No matching distribution"),
        embedded_aws(tmp_path),
    ):
        pass
