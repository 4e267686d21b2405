"""The least that a proxy on this event loop can do: what is left if all that a gateway is for is taken away."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from bench.peers.peer import Site, output_of
from bench.processes import BenchError
from bench.table import DEFAULT_GROUP


class FloorCopy:
    """Bytes from one socket to the other and back; no HTTP."""

    name: ClassVar[str] = "floor-copy"
    file_name: ClassVar[str] = "floor"
    counts: ClassVar[str] = "nothing; copies bytes, whatever they are"
    decides: ClassVar[bool] = False
    options: ClassVar[tuple[str, ...]] = ()

    def missing(self) -> str | None:
        return None

    def version(self) -> str:
        return "uvloop " + output_of(sys.executable, "-c", "import uvloop; print(uvloop.__version__)")

    def configuration(self, site: Site) -> str:
        if site.access_log or site.tls or site.workers > 1:
            raise BenchError("a floor has one worker, no TLS and no access log")
        return ""

    def command(self, file: Path, site: Site) -> Sequence[str]:
        ports = [str(site.port), str(site.target_ports[DEFAULT_GROUP])]
        return [sys.executable, "-m", "bench.floor", *ports, *self.options]

    def check_command(self, file: Path) -> Sequence[str] | None:
        return None

    def environment(self) -> Mapping[str, str]:
        return {}


class FloorParse(FloorCopy):
    """The same with httptools' parser on both sides."""

    name: ClassVar[str] = "floor-parse"
    counts: ClassVar[str] = "nothing; parses each head, and writes the bytes as they came"
    options: ClassVar[tuple[str, ...]] = ("--parse",)

    def missing(self) -> str | None:
        return None if importlib.util.find_spec("httptools") else "not installed: pip install httptools"


class FloorAnswer(FloorCopy):
    """A server that answers whatever comes: what a connection costs at the least."""

    name: ClassVar[str] = "floor-answer"
    counts: ClassVar[str] = "nothing; answers by itself"
    options: ClassVar[tuple[str, ...]] = ("--answer",)
