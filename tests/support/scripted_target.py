"""A target that does what a script says, byte for byte."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from wire import Closed, Message, Wire

Script = Callable[[Wire], None]
"""Called with each accepted connection, in a thread of its own; the connection closes when it returns."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class ScriptedTarget:
    """Listens on a free loopback port and runs `script` for each connection.

    Attributes:
        requests: Every whole request that `take` has read, in order.
        accepted: How many connections were opened.
        failures: What scripts raised, apart from the other side closing.
    """

    def __init__(self, script: Script | None = None, *, receive_buffer: int | None = None) -> None:
        self.requests: list[Message] = []
        self.accepted = 0
        self.failures: list[BaseException] = []
        self.script = script or self.answering(OK)
        self._wires: list[Wire] = []
        self._threads: list[threading.Thread] = []
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(64)
        self.port: int = self._socket.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def take(self, wire: Wire) -> Message:
        """Read and note one request."""
        request = wire.request()
        self.requests.append(request)
        return request

    def answering(self, *responses: bytes) -> Script:
        """A script that answers each request with the next of these, the last one over and over."""

        def script(wire: Wire) -> None:
            for number in range(1_000_000):
                self.take(wire)
                wire.send(responses[min(number, len(responses) - 1)])

        return script

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted += 1
            wire = Wire(connection)
            self._wires.append(wire)
            thread = threading.Thread(target=self._run, args=(wire,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, wire: Wire) -> None:
        try:
            self.script(wire)
        except (Closed, ConnectionError, TimeoutError):
            pass
        except OSError as error:
            if error.errno != 9:  # closed under the script, by `close` or by itself
                self.failures.append(error)
        except BaseException as error:  # noqa: BLE001 - a script may raise anything, an AssertionError first of all
            self.failures.append(error)
        finally:
            wire.close()

    def stop_listening(self) -> None:
        """Refuse further connections; those that are open stay."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(5)
        self._socket.close()

    def close(self) -> None:
        """Stop listening and close every connection."""
        self.stop_listening()
        for wire in self._wires:
            with contextlib.suppress(OSError):
                wire.socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for wire in self._wires:
            wire.close()


def refused_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
