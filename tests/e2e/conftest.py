"""A real clipperd for a test: its own ports, an empty store in memory, gone afterwards."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from clipper.admin.client import ClipperConnection

START_S = 30.0
STOP_S = 20.0


@dataclass(frozen=True, slots=True)
class RunningDaemon:
    """A daemon that answers."""

    url: str
    query_url: str
    log: Path
    environment: dict[str, str]
    """What `clipper-admin` needs to find it."""

    def connect(self) -> ClipperConnection:
        """A client of it."""
        return ClipperConnection(self.url, self.query_url)


def script(name: str, module: str) -> list[str]:
    """How to run one of our programs with this interpreter's packages."""
    installed = Path(sys.executable).with_name(name)
    return [str(installed)] if installed.exists() else [sys.executable, "-m", module]


def free_ports() -> tuple[int, int]:
    """Two ports that nobody listens on."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def plain_environment(home: Path) -> dict[str, str]:
    """This environment without any CLIPPER_ variable of whoever runs the tests."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CLIPPER_")}
    return kept | {"HOME": str(home)}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """A daemon for all tests of a file."""
    folder = tmp_path_factory.mktemp("clipperd")
    query_port, admin_port = free_ports()
    options = {
        "--store": "memory://",
        "--data-dir": str(folder),
        "--query-port": str(query_port),
        "--admin-port": str(admin_port),
    }
    log = folder / "clipperd.log"
    command = [
        *script("clipperd", "clipper.daemon"),
        *(x for pair in options.items() for x in pair),
    ]
    environment = plain_environment(folder)
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    url, query_url = f"http://127.0.0.1:{admin_port}", f"http://127.0.0.1:{query_port}"
    try:
        _await_ready(process, url, log)
        addresses = {"CLIPPER_URL": url, "CLIPPER_QUERY_URL": query_url}
        yield RunningDaemon(url, query_url, log, environment | addresses)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        finally:
            process.kill()
            process.wait()


def _await_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health/ready", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(f"clipperd did not become ready; its log:\n{log.read_text()[-4000:]}")
