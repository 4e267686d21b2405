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

Message = dict[str, Any]


class ChannelClosedError(Exception):
    """The other process is gone."""


class Channel:
    """One end. `call` and `receive` are not mixed at the same end: the supervisor calls, a worker receives."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._calling = asyncio.Lock()

    @classmethod
    async def over(cls, sock: socket.socket) -> Channel:
        """An end over this connected socket, which it owns from now on."""
        return cls(*await asyncio.open_connection(sock=sock))

    async def call(self, message: Message, *, timeout_seconds: float) -> Message:
        """Send a message and return the answer to it; calls wait for one another.

        Raises:
            ChannelClosedError: The other process is gone, or did not answer in time; the channel is closed then,
                since a later answer could not be told from that to the next message.
        """
        async with self._calling:
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self.send(message)
                    return await self.receive()
            except TimeoutError:
                self.close()
                raise ChannelClosedError("no answer in time") from None

    async def send(self, message: Message) -> None:
        """Send one message; raise `ChannelClosedError` if nobody can get it."""
        body = json.dumps(message, separators=(",", ":")).encode()
        try:
            self._writer.write(_LENGTH.pack(len(body)) + body)
            await self._writer.drain()
        except OSError as error:
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
