"""What functions write, as JSON records, one a line, and the lines that Lambda adds: START, END and REPORT."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime

from proxy.functions.tracing import trace_id_of
from proxy.strict_json import json_value

MAX_LINE_BYTES = 256 * 1024
"""A longer line is cut into several."""
TAIL_BYTES = 4 * 1024
"""What X-Amz-Log-Result shows of an invocation's log (Lambda guide)."""

Write = Callable[[str], None]


class FunctionLog:
    """The log of one environment, which is one log stream.

    Args:
        write: Takes a record as a line, without its end.
        now: Seconds since the epoch.
        on_line: Is shown each line that the function wrote.
    """

    def __init__(
        self,
        function: str,
        stream: str,
        write: Write,
        now: Callable[[], float],
        on_line: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._fixed = {"function": function, "log_stream": stream}
        self._write = write
        self._now = now
        self._on_line = on_line
        self._partial = b""
        self._request_id = ""
        self._trace_id = ""
        self._tail = bytearray()

    def begin(self, request_id: str, trace_id: str) -> None:
        """An invocation begins: what is written from here on belongs to it."""
        self.end_line()
        self._request_id = request_id
        self._trace_id = trace_id_of(trace_id)

    def feed(self, data: bytes) -> None:
        """Take what came out of the process, in whatever pieces."""
        lines = (self._partial + data).split(b"\n")
        self._partial = lines.pop()
        for line in lines:
            self._line(line)
        while len(self._partial) >= MAX_LINE_BYTES:
            self._line(self._partial[:MAX_LINE_BYTES])
            self._partial = self._partial[MAX_LINE_BYTES:]

    def end_line(self) -> None:
        """What has come of a line is all of it."""
        if self._partial:
            self._line(self._partial)
            self._partial = b""

    def say(self, line: str) -> None:
        """Add a line of the platform's own."""
        self._keep(line.encode())
        self._record(_content(line))

    def take_tail(self) -> bytes:
        """The last 4 KB since this was asked for last: of an invocation, and of the cold start before it."""
        tail = bytes(self._tail)
        self._tail.clear()
        return tail

    def _line(self, line: bytes) -> None:
        self._keep(line)
        # awslambdaric joins the lines of one message by carriage returns.
        text = line.decode("utf-8", "replace").rstrip("\r").replace("\r", "\n")
        self._on_line(text)
        self._record(_content(text))

    def _keep(self, line: bytes) -> None:
        self._tail += line + b"\n"
        del self._tail[:-TAIL_BYTES]

    def _record(self, content: dict[str, object]) -> None:
        record = {"timestamp": timestamp(self._now()), **self._fixed}
        if self._request_id:
            record |= {"request_id": self._request_id, "trace_id": self._trace_id}
        self._write(json.dumps(record | content, ensure_ascii=False, default=str))


def _content(text: str) -> dict[str, object]:
    """A line that is a JSON object goes in as one, so that its fields can be searched for.

    One with NaN or Infinity, as Python writes them, is text: no reader of JSON would take the record.
    """
    if text.startswith("{"):
        try:
            value = json_value(text)
        except ValueError:
            pass
        else:
            return {"record": value}
    return {"message": text}


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as Lambda writes them: 2024-01-31T05:00:00.123Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def start_line(request_id: str) -> str:
    return f"START RequestId: {request_id} Version: $LATEST"


def end_line(request_id: str) -> str:
    return f"END RequestId: {request_id}"


def report_line(
    request_id: str, milliseconds: float, memory_size: int, used_mb: int, init: float | None, error_type: str
) -> str:
    """The REPORT line of an invocation.

    Args:
        init: Milliseconds of the cold start, None for a warm one.
        error_type: Of a function that did not survive it; empty else.
    """
    fields = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {milliseconds:.2f} ms",
        f"Billed Duration: {math.ceil(milliseconds + (init or 0))} ms",
        f"Memory Size: {memory_size} MB",
        f"Max Memory Used: {used_mb} MB",
    ]
    if init is not None:
        fields.append(f"Init Duration: {init:.2f} ms")
    if error_type == "Sandbox.Timedout":
        fields.append("Status: timeout")
    elif error_type:
        fields.append(f"Status: error\tError Type: {error_type}")
    return "\t".join(fields)
