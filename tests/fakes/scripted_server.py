"""An HTTP server of a few lines that answers as it is told, for load generators to be tested on."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

Script = Callable[[socket.socket, bytes], None]
"""What to do with a connection and a body that came over it."""


class ScriptedServer:
    """Serves each connection in a thread of its own; remembers all bodies."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.bodies: list[bytes] = []
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self.listener.getsockname()[1]

    def accept(self) -> None:
        with contextlib.suppress(OSError):  # closed at the end
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            while head := read_head(stream):
                length = re.search(rb"Content-Length: (\d+)", head)
                assert length is not None
                body = stream.read(int(length[1]))
                self.bodies.append(body)
                self.script(connection, body)


def read_head(stream: BinaryIO) -> bytes:
    """Request line and headers; nothing where the client has gone."""
    head = b""
    while (line := stream.readline()) not in (b"", b"\r\n"):
        head += line
    return head


@contextlib.contextmanager
def scripted_server(script: Script) -> Iterator[ScriptedServer]:
    """A server on a port of its own."""
    server = ScriptedServer(script)
    threading.Thread(target=server.accept, daemon=True).start()
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()


def answer(body: bytes = b'{"default":false}', status: int = 200) -> bytes:
    """The bytes of a response."""
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
