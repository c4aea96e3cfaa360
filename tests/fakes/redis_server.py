"""A Redis for one test."""

import socket
import subprocess
import time
from pathlib import Path


class RedisServer:
    """A Redis of this test's own, to be stopped and started."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/3"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start it, as empty as it was when it was stopped, or with what `options` made it keep."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--dir", str(self._folder), *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"PING\r\n")
                return bool(connection.recv(100))  # PONG, or a demand for the password
        except OSError:
            return False

    def command(self, *words: str) -> None:
        """Have it carry out a command in the database of `url`."""
        tool = ["redis-cli", "-p", str(self.port), "-n", "3", *words]
        subprocess.run(tool, check=True, capture_output=True, timeout=20)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """End it on the spot, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
