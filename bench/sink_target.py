"""A target that throws bodies away: `python -m bench.sink_target PORT...`.

Bytes are discarded inside the kernel (`MSG_TRUNC`, tcp(7)), so that it takes next to nothing of the core that it shares
with the sender, and never limits a proxy.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading

from bench.client import parse_fields

CHUNK = 4 << 20
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
UNMEASURED = b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def serve_connection(connection: socket.socket) -> None:
    """Answer the requests of one connection, one after the other, until it is closed."""
    with connection, contextlib.suppress(ConnectionError):
        received = b""
        while True:
            while (end := received.find(b"\r\n\r\n") + 4) < 4:
                part = connection.recv(65536)
                if not part:
                    return
                received += part
            fields = parse_fields(received[:end])[1]
            if "transfer-encoding" in fields:
                connection.sendall(UNMEASURED)
                return
            length = int(fields.get("content-length", "0"))
            discard(connection, length - (len(received) - end))
            received = received[end + length :]
            connection.sendall(ANSWER)


def discard(connection: socket.socket, count: int) -> None:
    """Take so many bytes off a connection; raise ConnectionError if it ends before."""
    # The buffer is not written to; its size is how much may be thrown away at once.
    while count > 0:
        gone = connection.recv_into(_NOWHERE, min(count, CHUNK), socket.MSG_TRUNC)
        if gone == 0:
            raise ConnectionError(f"{count} bytes before the end")
        count -= gone


_NOWHERE = bytearray(CHUNK)


def main(ports: list[int]) -> None:
    for port in ports:
        listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        threading.Thread(target=_accept, args=(listener,)).start()


def _accept(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_connection, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main([int(port) for port in sys.argv[1:]])
