"""What a target said before it reset the connection.

A target may refuse an upload with a response and reset at once. When the next write meets that reset before the event
loop has read, the transport closes with the response unread. The kernel still has it, for a second descriptor.
"""

from __future__ import annotations

import contextlib
import os
from asyncio import Transport
from typing import Final

MAX_BYTES: Final = 256 * 1024
"""Most that is read of such a response; a longer one is cut."""


class LastWords:
    """A second descriptor of a connection's socket, for as long as a request body is sent over it."""

    __slots__ = ("_descriptor",)

    def __init__(self, transport: Transport) -> None:
        self._descriptor = -1
        # Of TLS the bytes alone say nothing.
        if transport.get_extra_info("sslcontext") is None:
            with contextlib.suppress(OSError):
                self._descriptor = os.dup(transport.get_extra_info("socket").fileno())

    def take(self) -> bytes:
        """What is still unread, at most `MAX_BYTES`; never waits. Closes the descriptor."""
        data = b""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                while len(data) < MAX_BYTES and (more := os.read(self._descriptor, MAX_BYTES - len(data))):
                    data += more
        self.close()
        return data

    def close(self) -> None:
        """Close the descriptor; the connection ends when the transport closes, too."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
