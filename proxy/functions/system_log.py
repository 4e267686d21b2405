"""What Lambda itself writes about an invocation, as text or as JSON of a level (Lambda guide, "Log formats"); pure."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Protocol

from proxy.functions.logs import end_line, report_line, start_line, timestamp
from proxy.functions.model import VERSION, LoggingConfig, SystemLevel

_RANKS: dict[SystemLevel, int] = {"DEBUG": 0, "INFO": 1, "WARN": 2}


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of an invocation that is over.

    Attributes:
        init_ms: Of the cold start; None for a warm one.
        error_type: Of a function that did not survive it; empty else.
        timeout: Seconds that it might take.
    """

    request_id: str
    milliseconds: float
    memory_size: int
    used_mb: int
    init_ms: float | None
    error_type: str
    produced_bytes: int
    timeout: int

    @property
    def status(self) -> str:
        if self.error_type == "Sandbox.Timedout":
            return "timeout"
        return "error" if self.error_type else "success"


class SystemLog(Protocol):
    """Lines about invocations."""

    def start(self, request_id: str, now: float) -> list[str]: ...

    def over(self, report: Report, now: float) -> list[str]: ...


def system_log(config: LoggingConfig) -> SystemLog:
    """The one that a function's configuration asks for."""
    return _Json(_RANKS[config.system_log_level]) if config.log_format == "JSON" else _Text()


class _Text:
    """START, END and REPORT."""

    def start(self, request_id: str, now: float) -> list[str]:
        return [start_line(request_id)]

    def over(self, report: Report, now: float) -> list[str]:
        lines = [
            end_line(report.request_id),
            report_line(
                report.request_id,
                report.milliseconds,
                report.memory_size,
                report.used_mb,
                report.init_ms,
                report.error_type,
            ),
        ]
        if report.status == "timeout":
            text = f"{timestamp(now)} {report.request_id} Task timed out after {report.timeout}.00 seconds"
            return [text, *lines]
        return lines


class _Json:
    """Events `platform.*`, each with a level; those below the lowest are left out."""

    def __init__(self, lowest: int) -> None:
        self._lowest = lowest

    def start(self, request_id: str, now: float) -> list[str]:
        return self._events(now, ("INFO", "platform.start", {"requestId": request_id, "version": VERSION}))

    def over(self, report: Report, now: float) -> list[str]:
        succeeded = report.status == "success"
        record: dict[str, Any] = {"requestId": report.request_id, "status": report.status}
        if report.status == "error":
            record["errorType"] = report.error_type
        duration = round(report.milliseconds, 3)
        done = {**record, "metrics": {"durationMs": duration, "producedBytes": report.produced_bytes}}
        metrics = {
            "durationMs": duration,
            "billedDurationMs": math.ceil(report.milliseconds + (report.init_ms or 0)),
            "memorySizeMB": report.memory_size,
            "maxMemoryUsedMB": report.used_mb,
        }
        if report.init_ms is not None:
            metrics["initDurationMs"] = round(report.init_ms, 3)
        return self._events(
            now,
            ("DEBUG" if succeeded else "WARN", "platform.runtimeDone", done),
            ("INFO" if succeeded else "WARN", "platform.report", {**record, "metrics": metrics}),
        )

    def _events(self, now: float, *events: tuple[SystemLevel, str, dict[str, Any]]) -> list[str]:
        return [
            json.dumps({"time": timestamp(now), "type": kind, "record": record}, separators=(",", ":"))
            for level, kind, record in events
            if _RANKS[level] >= self._lowest
        ]
