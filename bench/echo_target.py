"""A target that answers a request with the request's body: `python -m bench.echo_target PORT...`."""

from __future__ import annotations

import sys

import uvloop

from bench.target import Target, serve


class Echo(Target):
    def answer(self, method: str, target: str, body: bytes) -> None:
        self.send(body, method)


if __name__ == "__main__":
    uvloop.run(serve(Echo, [int(port) for port in sys.argv[1:]]))
