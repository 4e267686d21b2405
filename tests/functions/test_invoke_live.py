"""Invoking real functions through Lambda's API with boto3."""

from __future__ import annotations

import base64
import json
import os
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from function_host import RunningHost, eventually, function, running_host


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    os.environ["SECRET_OF_THE_HOST"] = "s3cret"
    functions = {
        name: function(f"app.{name}")
        for name in ("echo", "count", "fail", "die", "killed", "unserialisable", "big", "talk", "metrics", "rendezvous")
    }
    functions |= {
        "context": function("app.context", environment={"STAGE": "test"}, memory_size=256, timeout=7),
        "sleep": function("app.sleep", timeout=2),
        "after_answer": function("app.after_answer"),
        "leave_a_child": function("app.leave_a_child", timeout=1),
        "import": function("broken_import.handler"),
        "init": function("broken_init.handler"),
        "exits": function("exits_at_import.handler"),
        "missing": function("app.not_there"),
        "one": function("app.hold", reserved_concurrency=1, timeout=120),
        "off": function("app.echo", reserved_concurrency=0),
    }
    with running_host(tmp_path_factory.mktemp("host"), functions, concurrency=8) as running:
        yield running
    del os.environ["SECRET_OF_THE_HOST"]


def error_of(call: Any) -> tuple[int, str, dict[str, Any]]:
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response


@pytest.mark.parametrize(
    "event",
    [{"a": [1, None, "ü"]}, [], "text", 0, None, True, {"long": "x" * 200_000}],
    ids=["object", "list", "text", "zero", "nothing", "boolean", "long"],
)
def test_a_handler_gets_the_event_and_its_answer_comes_back(host: RunningHost, event: Any) -> None:
    answer = host.client.invoke(FunctionName="echo", Payload=json.dumps(event).encode())
    assert (answer["StatusCode"], json.loads(answer["Payload"].read())) == (200, event)
    assert answer["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in answer


def test_no_payload_is_an_empty_object(host: RunningHost) -> None:
    assert host.call("echo")["value"] == {}


def test_what_a_handler_knows(host: RunningHost) -> None:
    client_context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    answer = host.call("context", {}, ClientContext=client_context)
    value = answer["value"]
    assert 0 < value.pop("remaining") <= 7000
    assert value.pop("trace").startswith("Root=1-")
    assert value == {
        "request_id": answer["ResponseMetadata"]["RequestId"],
        "name": "context",
        "version": "$LATEST",
        "arn": "arn:aws:lambda:us-east-1:000000000000:function:context",
        "memory": "256",
        "log_group": "/aws/lambda/context",
        "client": {"k": "v"},
        "region": "us-east-1",
        "stage": "test",
        "secret": None,
    }


def test_the_trace_goes_on(host: RunningHost) -> None:
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    url = f"{host.endpoint}/2015-03-31/functions/context/invocations"
    answer = httpx.post(url, content=b"{}", headers={"X-Amzn-Trace-Id": trace}, trust_env=False)
    assert answer.json()["trace"] == trace
    assert answer.headers["x-amzn-trace-id"] == trace


def test_an_environment_is_used_again(host: RunningHost) -> None:
    first = host.call("count", {})["value"]
    second = host.call("count", {})["value"]
    assert (second["calls"], second["pid"]) == (first["calls"] + 1, first["pid"])


def test_calls_at_the_same_time_get_environments_of_their_own(host: RunningHost, tmp_path: Path) -> None:
    event = {"folder": str(tmp_path), "callers": 3}
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda _: host.call("rendezvous", event)["value"], range(3)))
    assert answers == ["together"] * 3


def test_an_exception_is_a_function_error_with_its_trace(host: RunningHost) -> None:
    answer = host.call("fail", {})
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    value = answer["value"]
    assert (value["errorType"], value["errorMessage"]) == ("ValueError", "no such order")
    assert value["requestId"] == answer["ResponseMetadata"]["RequestId"]
    assert "in fail" in value["stackTrace"][0]


@pytest.mark.parametrize(
    ("name", "event", "error_type", "message"),
    [
        ("unserialisable", {}, "Runtime.MarshalError", "Unable to marshal response"),
        ("import", {}, "Runtime.ImportModuleError", "Unable to import module 'broken_import'"),
        ("init", {}, "ValueError", "at import"),
        ("missing", {}, "Runtime.HandlerNotFound", "Handler 'not_there' missing on module 'app'"),
        ("die", {"status": 7}, "Runtime.ExitError", "Runtime exited with error: exit status 7"),
        ("die", {"status": 0}, "Runtime.ExitError", "Runtime exited without providing a reason"),
        ("killed", {}, "Runtime.ExitError", "Runtime exited with error: signal: killed"),
        ("exits", {}, "Runtime.ExitError", "Runtime exited with error: exit status 4"),
        ("sleep", {"seconds": 60}, "Sandbox.Timedout", "Task timed out after 2.00 seconds"),
        (
            "big",
            {"size": 6 * 1024 * 1024 + 200},
            "Function.ResponseSizeTooLarge",
            "exceeded maximum allowed payload size",
        ),
    ],
    ids=[
        "an answer that is not JSON",
        "an import that fails",
        "a module that raises",
        "a handler that is not there",
        "the process ends",
        "the process ends well",
        "the process is killed",
        "the process ends before it is ready",
        "a time-out",
        "an answer over 6 MB",
    ],
)
def test_errors(host: RunningHost, name: str, event: Any, error_type: str, message: str) -> None:
    answer = host.call(name, event)
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert answer["value"]["errorType"] == error_type
    assert message in answer["value"]["errorMessage"]


def test_a_function_that_crashed_works_again(host: RunningHost) -> None:
    assert host.call("sleep", {"seconds": 60})["FunctionError"] == "Unhandled"
    assert host.call("sleep", {"seconds": 0})["value"] == "awake"


def test_a_process_that_ended_while_idle_costs_no_invocation(host: RunningHost) -> None:
    pid = host.call("after_answer", {})["value"]
    eventually(lambda: not Path(f"/proc/{pid}").exists(), "the process did not end")
    assert "FunctionError" not in host.call("after_answer", {})


def test_a_time_out_kills_what_the_handler_started(host: RunningHost, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    assert host.call("leave_a_child", {"file": str(file)})["value"]["errorType"] == "Sandbox.Timedout"
    child = Path(f"/proc/{file.read_text()}/cmdline")
    # A killed child that nobody waits for stays in the table, with an empty command line.
    eventually(lambda: not child.exists() or not child.read_bytes(), "the child lives on")


def test_the_log_tail_is_the_invocations(host: RunningHost) -> None:
    host.call("talk", {})
    answer = host.call("talk", {}, LogType="Tail")
    request_id = answer["ResponseMetadata"]["RequestId"]
    start, *lines, end, report = base64.b64decode(answer["LogResult"]).decode().splitlines()
    assert start == f"START RequestId: {request_id} Version: $LATEST"
    assert lines[:2] == ["printed", "to stderr"]
    assert lines[2].startswith("[INFO]\t")
    assert lines[2].endswith(f"\t{request_id}\tlogged")
    assert end == f"END RequestId: {request_id}"
    assert report.startswith(f"REPORT RequestId: {request_id}\tDuration: ")


def test_the_log_tail_of_a_failed_start_says_why(host: RunningHost) -> None:
    tail = base64.b64decode(host.call("import", {}, LogType="Tail")["LogResult"]).decode()
    assert "No module named 'a_module_that_is_not_there'" in tail


def test_every_line_is_a_record_with_its_request(host: RunningHost) -> None:
    request_id = host.call("talk", {})["ResponseMetadata"]["RequestId"]
    written = [one for one in host.records if one.get("request_id") == request_id]
    assert {one["function"] for one in written} == {"talk"}
    assert {"level": "INFO", "order": 7} in [one.get("record") for one in written]
    assert "printed" in [one.get("message") for one in written]


def test_a_limit_that_is_reached_throttles(host: RunningHost, tmp_path: Path) -> None:
    event = {"begun": str(tmp_path / "begun"), "go_on": str(tmp_path / "go on")}
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(host.call, "one", event)
        eventually((tmp_path / "begun").exists, "it does not begin")
        status, code, response = error_of(lambda: host.call("one", event))
        (tmp_path / "go on").touch()
        assert first.result()["value"] == "held"
    assert (status, code) == (429, "TooManyRequestsException")
    assert response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert host.call("one", event)["value"] == "held"


def test_reserved_concurrency_of_zero_is_off(host: RunningHost) -> None:
    assert error_of(lambda: host.call("off", {}))[:2] == (429, "TooManyRequestsException")


@pytest.mark.parametrize(
    "name",
    [
        "echo",
        "echo:$LATEST",
        "000000000000:function:echo",
        "arn:aws:lambda:us-east-1:000000000000:function:echo",
        "arn:aws:lambda:us-east-1:000000000000:function:echo:$LATEST",
    ],
)
def test_names_of_a_function(host: RunningHost, name: str) -> None:
    assert host.call(name, 1)["value"] == 1


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        ({"FunctionName": "nobody"}, 404, "ResourceNotFoundException"),
        ({"FunctionName": "echo:prod"}, 404, "ResourceNotFoundException"),
        ({"FunctionName": "echo", "Qualifier": "7"}, 404, "ResourceNotFoundException"),
        ({"FunctionName": "echo", "Payload": b"{"}, 400, "InvalidRequestContentException"),
        ({"FunctionName": "echo", "Payload": b"NaN"}, 400, "InvalidRequestContentException"),
        ({"FunctionName": "echo", "Payload": b'"\xff"'}, 400, "InvalidRequestContentException"),
        ({"FunctionName": "echo", "Payload": b"[" * 100_000}, 400, "InvalidRequestContentException"),
        ({"FunctionName": "echo", "ClientContext": "%"}, 400, "InvalidRequestContentException"),
        ({"FunctionName": "echo", "InvocationType": "Sometimes"}, 400, "InvalidParameterValueException"),
        ({"FunctionName": "echo", "Payload": b" " * (6 * 1024 * 1024 + 1)}, 413, "RequestTooLargeException"),
        (
            {"FunctionName": "echo", "Payload": b" " * (1024 * 1024 + 1), "InvocationType": "Event"},
            413,
            "RequestTooLargeException",
        ),
        ({"FunctionName": "nobody", "InvocationType": "Event"}, 404, "ResourceNotFoundException"),
        ({"FunctionName": "nobody", "InvocationType": "DryRun"}, 404, "ResourceNotFoundException"),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value),
)
def test_refusals(host: RunningHost, arguments: dict[str, Any], status: int, code: str) -> None:
    assert error_of(lambda: host.client.invoke(**arguments))[:2] == (status, code)


def test_a_web_page_cannot_call(host: RunningHost) -> None:
    url = f"{host.endpoint}/2015-03-31/functions/echo/invocations"
    answer = httpx.post(url, content=b"{}", headers={"Origin": "https://example.com"}, trust_env=False)
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (403, "AccessDeniedException")


def test_an_event_of_exactly_six_megabytes(host: RunningHost) -> None:
    event = json.dumps("x" * (6 * 1024 * 1024 - 2)).encode()
    assert host.client.invoke(FunctionName="echo", Payload=event)["Payload"].read() == event


def test_a_dry_run_runs_nothing(host: RunningHost) -> None:
    before = len(host.records)
    assert host.call("echo", {}, InvocationType="DryRun")["StatusCode"] == 204
    assert len(host.records) == before


def test_functions_are_described(host: RunningHost) -> None:
    described = host.client.get_function(FunctionName="context")["Configuration"]
    assert (described["Handler"], described["Timeout"], described["MemorySize"]) == ("app.context", 7, 256)
    names = [one["FunctionName"] for one in host.client.list_functions()["Functions"]]
    assert {"echo", "context"} <= set(names)
    assert host.client.get_function_configuration(FunctionName="echo")["State"] == "Active"
    assert host.client.get_function_event_invoke_config(FunctionName="echo")["MaximumRetryAttempts"] == 2


def test_metrics(host: RunningHost) -> None:
    host.call("metrics", {})
    text = httpx.get(f"{host.endpoint}/metrics", trust_env=False).text
    series = '{dimensions="service=photos",function="metrics",name="resized",namespace="Shop",unit="Count"}'
    assert f"strangler_function_metric_count{series} 2.0" in text
    assert f"strangler_function_metric_sum{series} 3.0" in text
    assert 'strangler_function_duration_seconds_count{function="metrics",result="success"} 1.0' in text
    assert 'strangler_function_environments{function="metrics"} 1.0' in text


def test_an_environment_that_is_long_idle_ends(tmp_path: Path) -> None:
    with running_host(tmp_path, {"count": function("app.count")}, idle_seconds=0.3) as running:
        pid = running.call("count", {})["value"]["pid"]
        eventually(lambda: not Path(f"/proc/{pid}").exists(), "it does not end")
        assert running.call("count", {})["value"]["calls"] == 1


def test_zip_and_layers(tmp_path: Path) -> None:
    code, layer = tmp_path / "code.zip", tmp_path / "layer.zip"
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr(
            "shop/handlers.py", "from from_layer import VALUE\ndef get(event, context):\n    return VALUE\n"
        )
    with zipfile.ZipFile(layer, "w") as archive:
        archive.writestr("python/from_layer.py", "VALUE = 'first'\n")
    folder = tmp_path / "second" / "python"
    folder.mkdir(parents=True)
    (folder / "from_layer.py").write_text("VALUE = 'second lies over first'\n")
    functions = {
        "get": {"handler": "shop.handlers.get", "code": "code.zip", "layers": ["layer.zip", "second"]},
        "slash": {"handler": "shop/handlers.get", "code": "code.zip", "layers": ["layer.zip"]},
    }
    with running_host(tmp_path, functions) as running:
        assert running.call("get", {})["value"] == "second lies over first"
        assert running.call("slash", {})["value"] == "first"


def test_no_process_outlives_the_host(tmp_path: Path) -> None:
    with running_host(tmp_path, {"count": function("app.count")}) as running:
        pid = running.call("count", {})["value"]["pid"]
    assert not Path(f"/proc/{pid}").exists()


def test_a_start_that_hangs_is_a_time_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.functions.environment.INIT_SECONDS", 0.5)
    (tmp_path / "app.py").write_text("import time\ntime.sleep(600)\n")
    with running_host(tmp_path, {"f": {"handler": "app.handler", "code": ".", "timeout": 1}}) as running:
        assert running.call("f", {})["value"]["errorType"] == "Sandbox.Timedout"
        assert running.host.environments() == {"f": 0}
