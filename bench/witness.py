"""A relay between the gateway and a bus that writes down what the bus has acknowledged, before the gateway knows."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections import defaultdict
from dataclasses import dataclass

from bench.client import parse_fields, parse_head, read_chunked

EVENT = re.compile(rb"ev-[0-9]+")
"""What a benchmark writes into each event; it comes through every encoding as it is."""
_ID = re.compile(rb'"(?:EventId|MessageId|SequenceNumber)": ?"([^"]+)"|<MessageId>([^<]+)</MessageId>')
_REFUSED = re.compile(rb'"FailedEntryCount": ?[1-9]')


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The bus says that it has the event.

    Attributes:
        id: The one that it gave.
        life: Of the bus: how often it had been started again.
    """

    id: str
    life: int


class Witness:
    """Listens where the gateway believes the bus to be; connection by connection it passes all on.

    Attributes:
        acknowledged: By event. An event that was sent twice may have two.
        life: To be counted up when the bus is started again.
    """

    def __init__(self, port: int, bus_port: int) -> None:
        self.port = port
        self.acknowledged: dict[str, list[Acknowledgement]] = defaultdict(list)
        self.life = 0
        self._bus_port = bus_port
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._halved: asyncio.Event | None = None

    async def open(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Refuse connections from now on, and reset those that are there."""
        if self._server is not None:
            self._server.close()
            self._server = None
        relays = list(self._connections)
        for relay in relays:
            _reset(self._connections[relay])
            relay.cancel()
        await asyncio.gather(*relays, return_exceptions=True)

    async def half_an_answer(self) -> None:
        """Pass on half of the next acknowledgement and nothing more on its connection; return when that is done."""
        self._halved = asyncio.Event()
        await self._halved.wait()
        self._halved = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = asyncio.current_task()
        assert relay is not None
        self._connections[relay] = writer
        bus: asyncio.StreamWriter | None = None
        try:
            bus_reader, bus = await asyncio.open_connection("127.0.0.1", self._bus_port)
            while await self._relay(reader, writer, bus_reader, bus):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # Cancelled too: before Python 3.12, asyncio reports a connection's task that was as a fault.
        finally:
            del self._connections[relay]
            writer.close()
            if bus is not None:
                bus.transport.abort()

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        bus_reader: asyncio.StreamReader,
        bus: asyncio.StreamWriter,
    ) -> bool:
        """One request and its response; False if nothing more may come on this connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        _, fields = parse_fields(head)
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        bus.write(head + body)
        try:
            answer = await bus_reader.readuntil(b"\r\n\r\n")
            status, fields = parse_head(answer)
            if fields.get("transfer-encoding", "").lower() == "chunked":
                payload = await read_chunked(bus_reader)
                answer = b"HTTP/1.1 %d -\r\nContent-Length: %d\r\n\r\n" % (status, len(payload))
            else:
                payload = await bus_reader.readexactly(int(fields.get("content-length", "0")))
        except asyncio.IncompleteReadError as error:
            writer.write(error.partial)
            await writer.drain()
            return False
        answer += payload
        is_kept = status == 200 and self._note(body, payload)
        if is_kept and self._halved is not None and not self._halved.is_set():
            writer.write(answer[: len(answer) // 2])
            await writer.drain()
            self._halved.set()
            return False
        writer.write(answer)
        await writer.drain()
        return fields.get("connection", "").lower() != "close"

    def _note(self, request: bytes, payload: bytes) -> bool:
        """Write the acknowledgement down; False if it is none."""
        event, identifier = EVENT.search(request), _ID.search(payload)
        if event is None or identifier is None or _REFUSED.search(payload):
            return False
        given = (identifier[1] or identifier[2]).decode("latin-1")
        self.acknowledged[event[0].decode()].append(Acknowledgement(given, self.life))
        return True


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a process ends it that dies before it has read all."""
    sent: socket.socket | None = writer.get_extra_info("socket")
    if sent is not None:
        with contextlib.suppress(OSError):
            # SO_LINGER on and zero: what is buffered is dropped and the peer gets RST (socket(7)).
            sent.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()
