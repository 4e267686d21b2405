"""Messages between supervisor and worker: JSON documents with their length in front, over a socket pair."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Any, Final

_LENGTH: Final = struct.Struct(">I")
MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""Both ends are this program; a longer message is a fault, not a big table."""

_TIMEOUT_PARTS: Final = 5

Message = dict[str, Any]


class ChannelClosedError(Exception):
    """The other process is gone."""


class Channel:
    """One end. `call` and `receive` are not mixed at the same end: the supervisor calls, a worker receives."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._calling = asyncio.Lock()
        self._calls: set[asyncio.Task[Message]] = set()

    @classmethod
    async def over(cls, sock: socket.socket) -> Channel:
        """An end over this connected socket, which it owns from now on."""
        return cls(*await asyncio.open_connection(sock=sock))

    async def call(self, message: Message, *, timeout_seconds: float) -> Message:
        """Send a message and return the answer to it; calls wait for one another.

        A call whose caller is cancelled goes on to its end: its answer must not become that to the next message.

        Raises:
            ChannelClosedError: The other process is gone, or did not answer in time; the channel is closed then,
                since a later answer could not be told from that to the next message.
        """
        call = asyncio.create_task(self._call(message, timeout_seconds))
        self._calls.add(call)
        call.add_done_callback(self._call_ended)
        return await asyncio.shield(call)

    async def _call(self, message: Message, timeout_seconds: float) -> Message:
        async with self._calling:
            exchange = asyncio.create_task(self._exchange(message))
            # In parts, so that an answer that came while this process was stopped or paused is not called late.
            for _ in range(_TIMEOUT_PARTS):
                await asyncio.wait({exchange}, timeout=timeout_seconds / _TIMEOUT_PARTS)
                if exchange.done():
                    return exchange.result()
            exchange.cancel()
            self.close()
            raise ChannelClosedError("no answer in time")

    async def _exchange(self, message: Message) -> Message:
        await self.send(message)
        return await self.receive()

    def _call_ended(self, call: asyncio.Task[Message]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            # Looked at, also where its caller is gone: the channel is closed then, which the next call finds out.
            call.exception()

    async def send(self, message: Message) -> None:
        """Send one message; raise `ChannelClosedError` if nobody can get it."""
        body = json.dumps(message, separators=(",", ":")).encode()
        try:
            self._writer.write(_LENGTH.pack(len(body)) + body)
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            # A RuntimeError is what uvloop has for a transport that is closed already.
            raise ChannelClosedError(str(error)) from None

    async def receive(self) -> Message:
        """Return the next message; raise `ChannelClosedError` when there will be none."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            if length > MAX_MESSAGE_BYTES:
                raise ChannelClosedError(f"a message of {length} bytes")
            message: Message = json.loads(await self._reader.readexactly(length))
        except (OSError, EOFError) as error:
            raise ChannelClosedError(str(error)) from None
        return message

    def close(self) -> None:
        """Close this end; the other one sees it."""
        self._writer.close()
