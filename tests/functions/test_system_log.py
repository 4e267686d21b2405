"""What Lambda itself writes, as JSON of a level (Lambda guide, "Log formats"), and a real function beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from function_host import function, running_host

from proxy.functions.model import LoggingConfig, SystemLevel
from proxy.functions.system_log import Report, system_log

REPORT = Report("r", 11.5004, 128, 40, 30.0, "", 7, 3)
DIED = Report("r", 11.5, 128, 40, None, "Runtime.ExitError", 0, 3)
LATE = Report("r", 3000.0, 128, 40, None, "Sandbox.Timedout", 0, 3)


def events(level: SystemLevel, report: Report) -> list[dict[str, Any]]:
    log = system_log(LoggingConfig("JSON", system_log_level=level))
    return [json.loads(line) for line in [*log.start("r", 0.0), *log.over(report, 1.0)]]


def test_events() -> None:
    metrics = {"durationMs": 11.5, "billedDurationMs": 42, "memorySizeMB": 128, "maxMemoryUsedMB": 40}
    assert events("DEBUG", REPORT) == [
        {
            "time": "1970-01-01T00:00:00.000Z",
            "type": "platform.start",
            "record": {"requestId": "r", "version": "$LATEST"},
        },
        {
            "time": "1970-01-01T00:00:01.000Z",
            "type": "platform.runtimeDone",
            "record": {
                "requestId": "r",
                "status": "success",
                "metrics": {"durationMs": 11.5, "producedBytes": 7},
            },
        },
        {
            "time": "1970-01-01T00:00:01.000Z",
            "type": "platform.report",
            "record": {"requestId": "r", "status": "success", "metrics": {**metrics, "initDurationMs": 30.0}},
        },
    ]


@pytest.mark.parametrize(
    ("level", "report", "types"),
    [
        pytest.param("INFO", REPORT, ["start", "report"], id="success, INFO"),
        pytest.param("WARN", REPORT, [], id="success, WARN"),
        pytest.param("WARN", DIED, ["runtimeDone", "report"], id="it died, WARN"),
        pytest.param("WARN", LATE, ["runtimeDone", "report"], id="it took too long, WARN"),
    ],
)
def test_levels(level: SystemLevel, report: Report, types: list[str]) -> None:
    assert [event["type"] for event in events(level, report)] == [f"platform.{name}" for name in types]


def test_how_it_ended() -> None:
    ends = [[event["record"].get(key) for key in ("status", "errorType")] for event in events("WARN", DIED)]
    assert ends == [["error", "Runtime.ExitError"]] * 2
    assert [event["record"]["status"] for event in events("WARN", LATE)] == ["timeout"] * 2


def test_text_is_as_ever() -> None:
    log = system_log(LoggingConfig())
    start, late, end, report = [*log.start("r", 0.0), *log.over(LATE, 1.0)]
    assert start == "START RequestId: r Version: $LATEST"
    assert late == "1970-01-01T00:00:01.000Z r Task timed out after 3.00 seconds"
    assert end == "END RequestId: r"
    assert report.endswith("\tStatus: timeout")


def test_a_function_writes_json_of_its_level(tmp_path: Path) -> None:
    """AWS's runtime client does that; the levels of the platform are ours."""
    logging = {"log_format": "JSON", "application_log_level": "WARN"}
    with running_host(tmp_path, {"levels": function("levels.write", logging=logging)}) as host:
        request_id = host.call("levels", {})["ResponseMetadata"]["RequestId"]
        written = [one["record"] for one in host.records if one.get("request_id") == request_id]
        shown = host.client.get_function_configuration(FunctionName="levels")["LoggingConfig"]

    assert [one.get("type", one.get("level")) for one in written] == ["platform.start", "WARNING", "platform.report"]
    assert (written[1]["message"], written[1]["requestId"]) == ("a warning", request_id)
    assert shown == {
        "LogFormat": "JSON", "ApplicationLogLevel": "WARN", "SystemLogLevel": "INFO", "LogGroup": "/aws/lambda/levels"
    }  # fmt: skip
