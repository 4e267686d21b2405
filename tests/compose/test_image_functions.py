"""Functions as container images: the one of infrastructure/template.yaml, and one behind the gateway.

Needs docker, or what the environment variable CONTAINERS_TOOL names (see containers.py).
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from containers import REPOSITORY, Engine, free_port, wait_for
from served import serving

pytestmark = pytest.mark.system

BASE = "strangler-lambda-base-test"
INVOCATIONS = "/2015-03-31/functions/function/invocations"
HANDLER = """\
import time


def handler(event, context):
    if event["path"] == "/raise":
        raise ValueError("no")
    time.sleep(0.05)
    return {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": event["path"]}
"""
TABLE = """\
version: 1
listeners: [{port: PORT, default: {forward: shop}}]
target_groups:
  shop:
    target_type: lambda
    targets: [function]
    local: {endpoint: "http://127.0.0.1:ENDPOINT", maximum_concurrency: 1}
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine()
    engine.build(BASE, REPOSITORY / "infrastructure" / "lambda_base")
    yield engine
    engine.remove_image(BASE)


@contextmanager
def function(engine: Engine, image: str, folder: Path, **arguments: str) -> Iterator[int]:
    """Build a function's image and run it; give the port of its emulator."""
    port = free_port()
    engine.build(image, folder, **arguments)
    try:
        with engine.running(image, {port: 8080}, {"AWS_DEFAULT_REGION": "us-east-1"}):
            # Not by a connection alone: the engine's own is there before the emulator's.
            url = f"http://127.0.0.1:{port}/"
            wait_for("the emulator answers", 60, lambda: httpx.get(url, trust_env=False, timeout=5).status_code == 404)
            yield port
    finally:
        engine.remove_image(image)


def test_the_image_of_the_template_runs_its_handler(engine: Engine) -> None:
    """As far as it comes without a bucket: code, boto3 and Pillow are there, and the handler gets the event."""
    folder = REPOSITORY / "extracted_services" / "uploads" / "functions" / "analyse"
    with function(engine, "strangler-analyse-test", folder, BASE=BASE) as port:
        event = {"detail": {"bucket": {"name": "photos"}, "object": {}}}
        answer = httpx.post(f"http://127.0.0.1:{port}{INVOCATIONS}", json=event, trust_env=False, timeout=60)

    assert (answer.json()["errorType"], answer.json()["errorMessage"]) == ("KeyError", "'key'")


def test_the_gateway_calls_an_image_one_at_a_time(engine: Engine, tmp_path: Path) -> None:
    """AWS's emulator ends at a second call beside the first: with maximum_concurrency there is none."""
    folder = tmp_path / "function"
    folder.mkdir()
    (folder / "app.py").write_text(HANDLER)
    (folder / "Dockerfile").write_text(f'FROM {BASE}\nCOPY app.py ./\nCMD ["app.handler"]\n')
    clients = 8
    together = threading.Barrier(clients)

    with function(engine, "strangler-shop-test", folder) as port:
        table = TABLE.replace("ENDPOINT", str(port))
        with serving(tmp_path, table) as gateway, ThreadPoolExecutor(clients) as pool:

            def ask(number: int) -> httpx.Response:
                together.wait(30)
                return gateway.client.get(f"/{number}", timeout=60)

            answers = list(pool.map(ask, range(clients)))
            raised = gateway.client.get("/raise", timeout=60)
            after = gateway.client.get("/after", timeout=60)

    assert [(answer.status_code, answer.text) for answer in answers] == [(200, f"/{n}") for n in range(clients)]
    # The emulator gives a 200 without a word of an error; what it gives is no response, so it is a 502 all the same.
    assert (raised.status_code, after.status_code) == (502, 200)
