"""The access log: one line a request, also for those that failed; without health checks (alb.md 5.7)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Protocol

from proxy.observe import record as durations
from proxy.observe.alb_lines import DEFAULT_ELB_NAME, AlbLines
from proxy.observe.log_writer import LogWriter
from proxy.observe.record import METHOD_LIMIT, USER_AGENT_LIMIT, RequestRecord
from proxy.observe.request_spans import context_of


class LogFormat(Protocol):
    """How a record becomes a line, without the line's end."""

    def line(self, record: RequestRecord) -> str: ...


class JsonLines:
    """One JSON object a line, ASCII only.

    What clients sent is bytes of no known encoding: each byte stands as the character of the same number,
    escaped where JSON or a terminal needs it, so `value.encode("latin-1")` gives back what was received.
    Durations are in seconds with a microsecond's precision. What never happened is null, not -1: it must not
    spoil an average. `client` is the address of the peer, never X-Forwarded-For.
    """

    def __init__(self) -> None:
        self._second = -1
        self._second_text = ""

    def line(self, record: RequestRecord) -> str:
        view = record.view
        trace_id = ""
        if view is None:
            client, host, target, user_agent = record.client, b"", b"", b""
        else:
            if trace := context_of(view, record.trace_id):
                trace_id = trace.trace_id
            client, host, target = view.peer, view.host_port, view.target
            user_agent = view.fields.get(b"user-agent", b"")[:USER_AGENT_LIMIT]
        started_at = record.started_at
        second = int(started_at)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return (
            f'{{"time":"{self._second_text}.{int((started_at - second) * 1e6):06d}Z"'
            f',"client":{_text(client)}'
            f',"client_port":{record.client_port or "null"}'
            f',"method":{_bytes(record.method[:METHOD_LIMIT])}'
            f',"host":{_bytes(host)}'
            f',"target":{_bytes(target)}'
            f',"protocol":{_bytes(record.protocol[:METHOD_LIMIT])}'
            f',"status":{record.status or "null"}'
            f',"target_status":{record.target_status or "null"}'
            f',"listener":{_text(record.listener)}'
            f',"rule":{_text(record.rule)}'
            f',"priority":{"null" if record.priority is None else record.priority}'
            f',"target_group":{_text(record.target_group)}'
            f',"target_id":{_text(record.target_id)}'
            f',"request_processing":{_seconds(durations.request_processing_seconds(record))}'
            f',"target_processing":{_seconds(durations.target_processing_seconds(record))}'
            f',"response_processing":{_seconds(durations.response_processing_seconds(record))}'
            f',"total":{durations.total_seconds(record):.6f}'
            f',"overhead":{record.overhead:.6f}'
            f',"request_bytes":{record.request_bytes}'
            f',"response_bytes":{record.response_bytes}'
            f',"user_agent":{_bytes(user_agent)}'
            f',"trace_id":{_text(trace_id)}'
            f',"amzn_trace_id":{_bytes(record.trace_id)}'
            f',"reason":{_text(record.reason or record.remark)}'
            f',"tunnel":{"true" if record.tunnel else "false"}}}'
        )


FORMATS: dict[str, Callable[[str], LogFormat]] = {"json": lambda _: JsonLines(), "alb": AlbLines}
"""From a format's name to what makes it, given the name of the load balancer."""


class AccessLog:
    """A format and a place to write to."""

    def __init__(self, log_format: LogFormat, writer: LogWriter) -> None:
        self._format = log_format
        self._writer = writer

    @classmethod
    def open(cls, path: str, format_name: str = "json", elb_name: str = DEFAULT_ELB_NAME) -> AccessLog:
        """Open the log for appending; `-` is standard output.

        Raises:
            ValueError: The format is not one of `FORMATS`.
            OSError: The file cannot be opened.
        """
        if format_name not in FORMATS:
            raise ValueError(f"unknown access-log format {format_name!r}: choose one of {', '.join(FORMATS)}")
        return cls(FORMATS[format_name](elb_name), LogWriter(path))

    def record(self, record: RequestRecord) -> None:
        """Log one request that has ended. Never blocks and never raises for a slow or full disk."""
        self._writer.write(self._format.line(record))

    def reopen(self) -> None:
        """Open the file by its name again, as after a rotation."""
        self._writer.reopen()

    def close(self) -> None:
        """Write what is left and close the file."""
        self._writer.close()

    @property
    def dropped(self) -> int:
        """Lines lost so far because they could not be written in time."""
        return self._writer.dropped


_quote = json.JSONEncoder().encode


def _text(value: str) -> str:
    return _quote(value) if value else "null"


def _bytes(value: bytes) -> str:
    return _quote(value.decode("latin-1")) if value else "null"


def _seconds(value: float | None) -> str:
    return "null" if value is None else f"{value:.6f}"
