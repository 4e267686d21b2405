"""What came out of reading logs, and how it is followed meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from proxy.carveout.workload import Workload

SHOWN_BAD_LINES: Final = 5


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that could not be read.

    Attributes:
        number: From 1; 0 when it is not known.
        text: Its beginning, or why it is no line.
    """

    file: str
    number: int
    text: str


@dataclass(slots=True)
class Reading:
    """What came out of logs.

    Attributes:
        lines: All that were not empty.
        bad_count: Of those, how many could not be read.
        bad: The first few.
        unasked: Requests that the load balancer answered itself.
        notes: What happened to whole files.
        formats: The formats found.
    """

    workload: Workload
    lines: int
    bad_count: int
    unasked: int
    bad: list[BadLine] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)


class Progress:
    """Told how a reading goes on; this one says nothing."""

    def begin(self, total_bytes: int) -> None:
        """Reading begins; that many bytes are on disk."""

    def read(self, count: int) -> None:
        """So many more bytes are read; fewer than none if a file has to be read again."""

    def step(self, what: str) -> None:
        """All is read and the next step begins."""
