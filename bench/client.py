"""A small HTTP/1.1 client on raw sockets; every request ends as exactly one outcome."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from enum import StrEnum

IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})


class End(StrEnum):
    """How a request ended."""

    ANSWERED = "answered"
    CUT = "cut"
    """The connection ended after the response had begun."""
    LOST = "lost"
    """The connection ended, or could not be opened, without a byte of a response."""
    HUNG = "hung"
    """No end came within the time limit."""


@dataclass(frozen=True, slots=True)
class Outcome:
    end: End
    status: int = 0
    body: bytes = b""


class Client:
    """One keep-alive connection at a time, opened when it is needed.

    The gateway may close a connection that is idle, which a client sees only when it sends its next request:
    that request is sent once more on a new connection if it is idempotent (RFC 9110 9.2.2) and no byte of a
    response came. `reopened` counts these; any other request ends as it ended, and with `repeats=False`
    every one does.
    """

    def __init__(
        self,
        port: int,
        *,
        timeout_seconds: float = 10.0,
        host: str = "bench.example.com",
        repeats: bool = True,
    ) -> None:
        self.port = port
        self.repeats = repeats
        self.timeout_seconds = timeout_seconds
        self.host = host
        self.reopened = 0
        self.opened = 0
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(self, method: str, target: str, *, headers: str = "", body: bytes = b"") -> Outcome:
        """Send one request and return its outcome; never raises for what the network does.

        Args:
            headers: Further header lines, each ended by CRLF.
        """
        length = f"Content-Length: {len(body)}\r\n" if body or method in ("POST", "PUT", "PATCH") else ""
        head = f"{method} {target} HTTP/1.1\r\nHost: {self.host}\r\n{headers}{length}\r\n"
        data = head.encode("latin-1") + body
        kept = self._writer is not None
        outcome = await self._attempt(method, data)
        if outcome.end is End.LOST and kept and self.repeats and method in IDEMPOTENT:
            self.reopened += 1
            outcome = await self._attempt(method, data)
        return outcome

    async def connect(self) -> None:
        """Open the connection; raise OSError if that fails."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.opened += 1

    async def close(self) -> None:
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _attempt(self, method: str, data: bytes) -> Outcome:
        begun = False
        try:
            async with asyncio.timeout(self.timeout_seconds):
                if self._writer is None:
                    await self.connect()
                assert self._reader is not None
                assert self._writer is not None
                self._writer.write(data)
                head = await self._reader.readuntil(b"\r\n\r\n")
                begun = True
                status, fields = parse_head(head)
                body = await self._body(method, status, fields)
        except TimeoutError:
            await self.close()
            return Outcome(End.HUNG)
        except asyncio.IncompleteReadError as error:
            await self.close()
            return Outcome(End.CUT if begun or error.partial else End.LOST)
        except OSError:
            await self.close()
            return Outcome(End.CUT if begun else End.LOST)
        if fields.get("connection", "").lower() == "close":
            await self.close()
        return Outcome(End.ANSWERED, status, body)

    async def _body(self, method: str, status: int, fields: dict[str, str]) -> bytes:
        assert self._reader is not None
        if method == "HEAD" or status in (204, 304):
            return b""
        if fields.get("transfer-encoding", "").lower() == "chunked":
            return await read_chunked(self._reader)
        return await self._reader.readexactly(int(fields.get("content-length", "0")))


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Return the status and the header fields of a response's head."""
    first, fields = parse_fields(head)
    return int(first.split(" ", 2)[1]), fields


def parse_fields(head: bytes) -> tuple[str, dict[str, str]]:
    """Return the first line and the header fields, names in lower case; of a repeated field the last."""
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    return first, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def read_chunked(reader: asyncio.StreamReader) -> bytes:
    """Read a chunked body and its trailers (RFC 9112 7.1)."""
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return bytes(body)
