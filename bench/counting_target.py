"""A target that counts: `python -m bench.counting_target NAME PORT [--delay-ms N] [--journal FILE]`.

It answers 200 with its name, and 404 below `/missing/`. Each `id=` of a query is written to the journal, a
line each, when the request is complete and before its answer: what was written stands even if the process is
killed a moment later.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections import Counter
from pathlib import Path

import uvloop

from bench.target import Target, serve


class CountingTarget(Target):
    """One connection."""

    def __init__(self, name: str, delay_seconds: float, journal: int | None) -> None:
        super().__init__()
        self.name = name.encode()
        self.delay_seconds = delay_seconds
        self.journal = journal

    def answer(self, method: str, target: str, body: bytes) -> None:
        path, _, query = target.partition("?")
        if path == "/health":
            self.send(b"ok", method)
            return
        if self.journal is not None:
            for part in query.split("&"):
                if part.startswith("id="):
                    os.write(self.journal, f"{part[3:]}\n".encode())
        status = "404 Not Found" if path.startswith("/missing/") else "200 OK"
        if self.delay_seconds:
            asyncio.get_running_loop().call_later(self.delay_seconds, self.send, self.name, method, status)
        else:
            self.send(self.name, method, status)


def counts(*journals: Path) -> Counter[str]:
    """Return how often each id stands in the journals."""
    texts = (journal.read_text() for journal in journals if journal.exists())
    return Counter(line for text in texts for line in text.splitlines())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.counting_target")
    parser.add_argument("name")
    parser.add_argument("port", type=int)
    parser.add_argument("--delay-ms", type=float, default=0)
    parser.add_argument("--journal", type=Path)
    options = parser.parse_args()
    file = os.open(options.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT) if options.journal else None
    uvloop.run(serve(lambda: CountingTarget(options.name, options.delay_ms / 1000, file), [options.port]))
