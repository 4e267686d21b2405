"""From an upload to a resized image: the service, MiniStack's S3 and EventBridge, the function host."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aws_endpoint import client, unique
from function_host import RunningHost, eventually, running_host
from photos import noise, photo
from running_process import REPOSITORY, Running, running
from served import serving

from extracted_services.uploads.resources import add_analysis, create_uploads
from monolith_stub import images
from proxy.config.edit import set_weights

UPLOADS = REPOSITORY / "extracted_services" / "uploads"
PAGE = REPOSITORY / "docs" / "uploads.md"
FORM = {"photo": ("p.jpg", photo(), "image/jpeg")}


def functions(file: str, **environment: str) -> dict[str, Any]:
    """The functions of a file as it stands, with folders found from anywhere, and no attempts after the first."""
    loaded: dict[str, Any] = yaml.safe_load((UPLOADS / file).read_text())["functions"]
    for function in loaded.values():
        function["code"] = str(UPLOADS / function["code"])
        function["environment"] |= environment
        function["asynchronous"]["maximum_retry_attempts"] = 0
    return loaded


@pytest.fixture(scope="module")
def monolith(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running("monolith_stub", tmp_path_factory.mktemp("monolith") / "data") as process:
        yield process


@contextmanager
def uploads(folder: Path, bucket: str, host: RunningHost) -> Iterator[Running]:
    create_uploads(bucket, host.endpoint)
    arguments = ["--bucket", bucket, "--patience", "30"]
    with running("extracted_services.uploads", folder / "uploads", arguments=arguments) as service:
        yield service


@pytest.mark.parametrize("body", [photo(), noise()], ids=["in one step", "as a multipart upload"])
def test_an_upload_is_stored_as_it_came_and_resized(aws: str, tmp_path: Path, body: bytes) -> None:
    bucket = unique("photos")
    with running_host(tmp_path, functions("functions-before.yaml")) as host, uploads(tmp_path, bucket, host) as service:
        kind = "image/png" if body.startswith(b"\x89PNG") else "image/jpeg"
        answer = service.http.post("/api/images", content=body, headers={"Content-Type": kind})
        uploaded = answer.json()
        got = {name: service.http.get(size["path"]) for name, size in uploaded["sizes"].items()}

        s3 = client("s3", aws, s3={"addressing_style": "path"})
        original = s3.get_object(Bucket=bucket, Key=f"originals/{uploaded['id']}")
        stored = original["Body"].read()
        s3.close()

    assert answer.status_code == 201
    assert 900_000_000_000 <= uploaded["id"] < 10**12
    assert answer.headers["Location"] == f"/api/images/{uploaded['id']}/large"
    assert (stored, original["ContentType"]) == (body, kind)
    for name, (picture, width, height) in images.resize(body).items():
        assert got[name].content == picture
        assert got[name].headers["Content-Type"] == "image/jpeg"
        assert uploaded["sizes"][name] == {
            "path": f"/api/images/{uploaded['id']}/{name}",
            "width": width,
            "height": height,
            "bytes": None,
        }


def test_a_second_function_is_added_without_touching_the_first(aws: str, tmp_path: Path) -> None:
    """Bucket and first function are at work; then the file grows, and the bucket tells EventBridge, too."""
    bucket, table = unique("photos"), unique("metadata")
    s3 = client("s3", aws, s3={"addressing_style": "path"})
    with running_host(tmp_path, functions("functions-before.yaml")) as host, uploads(tmp_path, bucket, host) as service:
        before = service.http.post("/api/images", files=FORM).json()
        assert service.http.get(before["sizes"]["thumb"]["path"]).status_code == 200
        configured = s3.get_bucket_notification_configuration(Bucket=bucket)

    with running_host(tmp_path, functions("functions.yaml", TABLE=table)) as host:
        with uploads(tmp_path, bucket, host) as service:
            add_analysis(bucket, host.endpoint, table)
            after = service.http.post("/api/images", files=FORM).json()
            dynamodb = client("dynamodb", aws)

            def item() -> Any:
                return dynamodb.get_item(TableName=table, Key={"image": {"S": str(after["id"])}}).get("Item")

            described = eventually(item, "nothing is analysed")
            thumb = service.http.get(after["sizes"]["thumb"]["path"])
            count = dynamodb.scan(TableName=table)["Count"]
            dynamodb.close()
        now = s3.get_bucket_notification_configuration(Bucket=bucket)
        runs = [one for one in host.records if one["function"] == "resize" and "END" in str(one.get("message"))]
    s3.close()

    assert thumb.status_code == 200
    assert (described["width"], described["height"]) == ({"N": "300"}, {"N": "200"})
    assert described["exif"]["M"]["Make"] == {"S": "Kestrel"}
    assert count == 1
    assert now["LambdaFunctionConfigurations"] == configured["LambdaFunctionConfigurations"]
    assert "EventBridgeConfiguration" in now
    assert "EventBridgeConfiguration" not in configured
    assert len(runs) == 1


def test_the_second_function_is_an_addition_to_the_file() -> None:
    """Nobody who reviews it has to read the first function again; docs/uploads.md shows the difference as it is."""
    before, after = ((UPLOADS / name).read_text() for name in ("functions-before.yaml", "functions.yaml"))
    assert after.startswith(before)
    assert "".join(f"+{line}\n" for line in after.removeprefix(before).splitlines()) in PAGE.read_text()
    assert set(yaml.safe_load(after)["functions"]) == {"resize", "analyse"}


def test_an_image_that_is_cut_off_ends_at_the_failure_destination(aws: str, tmp_path: Path) -> None:
    """Its head is fine, so it is taken; the function tells of it, and readers get a 404."""
    bucket, sqs = unique("photos"), client("sqs", aws)
    with running_host(tmp_path, functions("functions-before.yaml")) as host:
        create_uploads(bucket, host.endpoint)
        arguments = ["--bucket", bucket, "--patience", "0"]
        with running("extracted_services.uploads", tmp_path / "uploads", arguments=arguments) as service:
            body = photo(width=1000, height=1000)[:-2000]
            uploaded = service.http.post("/api/images", content=body, headers={"Content-Type": "image/jpeg"}).json()
            url = sqs.get_queue_url(QueueName="uploads-failed")["QueueUrl"]

            def told() -> Any:
                return sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages")

            record = json.loads(eventually(told, "nobody is told")[0]["Body"])
            missing = service.http.get(uploaded["sizes"]["thumb"]["path"])
    sqs.close()

    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestPayload"]["Records"][0]["s3"]["object"]["key"] == f"originals/{uploaded['id']}"
    assert missing.status_code == 404


def test_uploads_are_shifted_there_and_back(aws: str, tmp_path: Path, monolith: Running) -> None:
    """By two numbers of the table; what was uploaded before is still there, whoever has it."""
    bucket, port = unique("photos"), "${UPLOADS_GATEWAY_PORT:-8080}"
    text = (UPLOADS / "routes.yaml").read_text()
    assert port in text
    uploaded: list[tuple[str, str]] = []
    with (
        running_host(tmp_path, functions("functions-before.yaml")) as host,
        uploads(tmp_path, bucket, host) as service,
        serving(
            tmp_path,
            set_weights(text.replace(port, "PORT"), "uploads", {"monolith": 1, "uploads": 0}),
            environment={"MONOLITH_URL": str(monolith.http.base_url), "UPLOADS_URL": str(service.http.base_url)},
        ) as gateway,
    ):

        def weight() -> float:
            return gateway.metric("strangler_rule_weight", rule="uploads", target_group="uploads")

        for share, server in ((0, "monolith"), (1, "uploads"), (0, "monolith")):
            table = gateway.table.read_text()
            gateway.table.write_text(set_weights(table, "uploads", {"monolith": 1 - share, "uploads": share}))
            gateway.eventually(lambda share=share: weight() == share, "the table is not taken up")
            answer = gateway.client.post("/api/images", files=FORM)
            assert answer.headers["X-Served-By"] == server
            uploaded.append((answer.json()["sizes"]["small"]["path"], server))
        for path, server in uploaded:
            got = gateway.client.get(path, timeout=60)
            assert (got.status_code, got.headers["X-Served-By"]) == (200, server)


ERRORS = [
    pytest.param("POST", {"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415, id="no image type"),
    pytest.param("POST", {"content": b"x", "headers": {"Content-Type": "image/png"}}, 422, id="no image"),
    pytest.param("POST", {"content": b"", "headers": {"Content-Type": "image/png"}}, 422, id="nothing"),
    pytest.param("POST", {"files": {"a": ("a.png", b"no image", "image/png")}}, 422, id="no image in a form"),
    pytest.param(
        "POST",
        {"content": b"--b--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        422,
        id="an empty form",
    ),
    pytest.param(
        "POST",
        {"content": b" " * (20 * 1024 * 1024 + 1), "headers": {"Content-Type": "image/png"}},
        413,
        id="too large",
    ),
    pytest.param("DELETE", {}, 405, id="not allowed"),
]


@pytest.mark.parametrize(("method", "request_", "status"), ERRORS)
def test_errors_are_the_monoliths(
    aws: str, tmp_path: Path, monolith: Running, method: str, request_: dict[str, Any], status: int
) -> None:
    with running("extracted_services.uploads", tmp_path / "uploads", arguments=["--bucket", "none"]) as service:
        control, candidate = (
            process.http.request(method, "/api/images", **request_) for process in (monolith, service)
        )
    assert control.status_code == status
    assert (candidate.status_code, candidate.json()) == (status, control.json())
    assert candidate.headers["X-Served-By"] == "uploads"


@pytest.mark.parametrize("path", ["7/huge", "x/thumb", "0/thumb"])
def test_bad_paths_are_the_monoliths(aws: str, tmp_path: Path, monolith: Running, path: str) -> None:
    with running("extracted_services.uploads", tmp_path / "uploads", arguments=["--bucket", "none"]) as service:
        control, candidate = (process.http.get(f"/api/images/{path}") for process in (monolith, service))
    assert control.status_code == 422
    assert (candidate.status_code, candidate.json()) == (422, control.json())


def test_a_bucket_that_fails_is_a_503(aws: str, tmp_path: Path) -> None:
    with running("extracted_services.uploads", tmp_path / "uploads", arguments=["--bucket", "none-here"]) as service:
        answer = service.http.post("/api/images", content=photo(), headers={"Content-Type": "image/jpeg"})
        log = service.log.read_text()
    assert answer.status_code == 503
    assert "NoSuchBucket" in log


def test_a_client_that_leaves_midway_leaves_nothing_behind(aws: str, tmp_path: Path) -> None:
    """S3 keeps, and charges for, the parts of an upload that nobody ends."""
    bucket, s3 = unique("photos"), client("s3", aws, s3={"addressing_style": "path"})
    s3.create_bucket(Bucket=bucket)
    body = noise(2400, 1600)
    with running("extracted_services.uploads", tmp_path / "uploads", arguments=["--bucket", bucket]) as service:
        address = service.http.base_url
        with socket.create_connection((address.host, address.port)) as connection:
            head = "POST /api/images HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
            head += f"Content-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body[:-1000])
            eventually(lambda: s3.list_multipart_uploads(Bucket=bucket).get("Uploads"), "it does not begin")
        eventually(lambda: not s3.list_multipart_uploads(Bucket=bucket).get("Uploads"), "it is not aborted")
        assert not s3.list_objects_v2(Bucket=bucket).get("Contents")
    s3.close()
