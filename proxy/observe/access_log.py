"""The access log: one line a request, also for those that failed; without health checks (alb.md 5.7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxy.observe.alb_lines import DEFAULT_ELB_NAME, AlbLines
from proxy.observe.json_lines import JsonLines
from proxy.observe.log_writer import LogWriter
from proxy.observe.record import RequestRecord


class LogFormat(Protocol):
    """How a record becomes a line, without the line's end."""

    def line(self, record: RequestRecord) -> str: ...


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
