"""A load of bodies, downloads or uploads: `python -m bench.body_load PORT HEAD_FILE (--download|--upload) BYTES`.

wrk reads 8 KiB at a time and wants a body as a string. Here the kernel does the work: a download is discarded inside
it (`MSG_TRUNC`, tcp(7)), an upload leaves by sendfile(2). Each connection is a thread, which moves one body after the
other and finishes the last one that it began in time. Prints JSON: bodies, bytes, seconds and failures.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.client import parse_head
from bench.processes import BenchError
from bench.sink_target import discard


@dataclass(frozen=True, slots=True)
class Result:
    """What was moved; `failure` is the first thing that went wrong."""

    bodies: int
    bytes: int
    seconds: float
    failure: str | None


def run(
    head: bytes,
    port: int,
    folder: Path,
    *,
    download: int,
    upload: int,
    seconds: float,
    connections: int,
    core: int | None,
) -> Result:
    """Run this module as a process of its own on a core; raise BenchError if it does not run."""
    file = folder / "head"
    file.write_bytes(head)
    direction = ["--download", str(download)] if download else ["--upload", str(upload)]
    length = ["--seconds", str(seconds), "--connections", str(connections)]
    pin = [] if core is None else ["taskset", "-c", str(core)]
    command = [*pin, sys.executable, "-m", "bench.body_load", str(port), str(file), *direction, *length]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"the load of bodies ended with code {done.returncode}: {done.stderr.strip()[-300:]}")
    return Result(**json.loads(done.stdout))


class Load:
    """Bodies over several connections at once."""

    def __init__(self, port: int, head: bytes, *, download: int, upload: int) -> None:
        self.port = port
        self.head = head
        self.download = download
        self.upload = upload
        self.moved = 0
        self.failure: str | None = None
        self._file = os.memfd_create("body") if upload else -1
        if upload:
            os.truncate(self._file, upload)
            os.pwrite(self._file, b"x" * upload, 0)
        self._lock = threading.Lock()

    def move(self, connections: int, seconds: float) -> Result:
        start = time.monotonic()
        threads = [threading.Thread(target=self._connection, args=(start + seconds,)) for _ in range(connections)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        spent = time.monotonic() - start
        return Result(self.moved, self.moved * (self.download or self.upload), spent, self.failure)

    def _connection(self, deadline: float) -> None:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
                # Blocking from here on: with a timeout every call would be preceded by a poll.
                connection.settimeout(None)
                while time.monotonic() < deadline and self.failure is None:
                    self._exchange(connection)
                    with self._lock:
                        self.moved += 1
        except (OSError, ValueError) as error:
            self.failure = self.failure or str(error)

    def _exchange(self, connection: socket.socket) -> None:
        connection.sendall(self.head)
        sent = 0
        while sent < self.upload:
            sent += os.sendfile(connection.fileno(), self._file, sent, self.upload - sent)
        received = b""
        while (end := received.find(b"\r\n\r\n") + 4) < 4:
            part = connection.recv(4096)
            if not part:
                raise ConnectionError("closed before an answer")
            received += part
        status, fields = parse_head(received[:end])
        length = int(fields["content-length"])
        if status != 200 or (self.download and length != self.download):
            raise ConnectionError(f"answered {status} with {length} bytes")
        discard(connection, length - (len(received) - end))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.body_load", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("head", type=Path, help="file with a request's head")
    parser.add_argument("--download", type=int, default=0, metavar="BYTES", help="length of the answers")
    parser.add_argument("--upload", type=int, default=0, metavar="BYTES", help="length of the bodies sent")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--connections", type=int, default=4)
    options = parser.parse_args()
    load = Load(options.port, options.head.read_bytes(), download=options.download, upload=options.upload)
    print(json.dumps(asdict(load.move(options.connections, options.seconds))))


if __name__ == "__main__":
    main()
