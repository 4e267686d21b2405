"""Where a target's CPU time is read: a process and its children, a control group, or cAdvisor's metrics."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

import httpx
from prometheus_client.parser import text_string_to_metric_families

MAX_BYTES: Final = 16 * 1024 * 1024
CADVISOR_METRIC: Final = "container_cpu_usage_seconds_total"
_LABELS: Final = ("name", "container", "id", "container_label_com_docker_compose_service")
"""Labels of cAdvisor's metric in which a container's name is looked for."""

Read = Callable[[], float]
"""Returns the seconds of CPU since some beginning, raises CpuSourceError; takes its time, so not on an event loop."""


class CpuSourceError(Exception):
    """The CPU time cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class CpuSource:
    """Of which target group, and how it is read."""

    target_group: str
    written: str
    read: Read


def parse_cpu_source(text: str) -> CpuSource:
    """Read `GROUP=pid:1234`, `GROUP=file:/sys/fs/cgroup/.../cpu.stat` or `GROUP=http://cadvisor:8080/metrics?container=NAME`.

    Raises:
        ValueError: It is none of these.
    """
    group, equals, source = text.partition("=")
    kind, _, rest = source.partition(":")
    if equals and group:
        if kind == "pid" and rest.isascii() and rest.isdigit():
            return CpuSource(group, text, lambda: _of_process(int(rest)))
        if kind == "file" and rest.startswith("/"):
            return CpuSource(group, text, lambda: _of_control_group(Path(rest)))
        if kind in ("http", "https"):
            parts = urlsplit(source)
            container = parse_qs(parts.query).get("container", [""])[0]
            if parts.netloc and container:
                return CpuSource(group, text, lambda: _of_cadvisor(urlunsplit(parts._replace(query="")), container))
    expected = "GROUP=pid:NUMBER, GROUP=file:/.../cpu.stat or GROUP=http://HOST:PORT/metrics?container=NAME"
    raise ValueError(f"{text!r} is not {expected}")


def _of_process(pid: int) -> float:
    """A process and all its descendants, those that ended and were waited for included."""
    ticks = os.sysconf("SC_CLK_TCK")
    parents: dict[int, list[int]] = {}
    times: dict[int, float] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(entry.parent.name)
        parents.setdefault(int(fields[1]), []).append(number)
        times[number] = sum(map(int, fields[11:15])) / ticks
    if pid not in times:
        raise CpuSourceError(f"there is no process {pid}")
    waiting, total = [pid], 0.0
    while waiting:
        number = waiting.pop()
        total += times[number]
        waiting += parents.get(number, [])
    return total


def _of_control_group(path: Path) -> float:
    """`cpu.stat` of a control group (version 2), or `cpuacct.usage` (version 1)."""
    try:
        text = path.read_text(errors="replace")[:65536]
    except OSError as error:
        raise CpuSourceError(f"cannot read {path}: {error.strerror}") from None
    found = re.search(r"^usage_usec (\d+)$", text, re.MULTILINE)
    if found is not None:
        return int(found[1]) / 1e6
    if text.strip().isdigit():
        return int(text) / 1e9
    raise CpuSourceError(f"{path} is neither cpu.stat nor cpuacct.usage")


def _of_cadvisor(url: str, container: str) -> float:
    try:
        with httpx.Client(timeout=5, trust_env=False) as client, client.stream("GET", url) as response:
            response.raise_for_status()
            body = b""
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise CpuSourceError(f"{url} answers with more than {MAX_BYTES} bytes")
        lines = [line for line in body.decode("utf-8", "replace").splitlines() if line.startswith(CADVISOR_METRIC)]
        families = list(text_string_to_metric_families("\n".join(lines) + "\n"))
    except (httpx.HTTPError, ValueError) as error:
        raise CpuSourceError(f"cannot read {url}: {error or type(error).__name__}") from None
    total, seen = 0.0, False
    for family in families:
        for sample in family.samples:
            if any(sample.labels.get(label) == container for label in _LABELS):
                total, seen = total + sample.value, True
    if not seen:
        raise CpuSourceError(f"{url} knows no container {container!r}")
    return total


class CpuHistory:
    """The CPU time of one target group by windows, as long as the workload goes back.

    Args:
        window_seconds: The length of a window; they start at multiples of it since the epoch.
        kept: How many windows.
    """

    def __init__(self, window_seconds: float, kept: int) -> None:
        self._width = window_seconds
        self._windows: deque[tuple[int, float]] = deque(maxlen=kept)
        self._last: tuple[float, float] | None = None

    def note(self, now: float, total: float) -> None:
        """Take a reading; what was used since the last one is spread over the time between."""
        last, self._last = self._last, (now, total)
        if last is None or total < last[1] or now <= last[0] or now - last[0] > 10 * self._width:
            return
        rate = (total - last[1]) / (now - last[0])
        start = last[0]
        while start < now:
            index = int(start // self._width)
            end = min((index + 1) * self._width, now)
            self._add(index, rate * (end - start))
            start = end

    def _add(self, index: int, seconds: float) -> None:
        if self._windows and self._windows[-1][0] == index:
            seconds += self._windows.pop()[1]
        self._windows.append((index, seconds))

    def by_window(self, started_at: float, window_seconds: float, count: int) -> list[float]:
        """Seconds by the windows of a workload; 0.0 where nothing is known."""
        seconds = [0.0] * count
        for index, value in self._windows:
            place = int((index * self._width - started_at) // window_seconds)
            if 0 <= place < count:
                seconds[place] += value
        return seconds
