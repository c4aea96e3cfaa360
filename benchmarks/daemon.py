"""A `clipperd` to be measured, and numbers about it."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

START_S = 30.0
SCRAPE_S = 60.0
"""Large bodies that still wait to be read hold the daemon up for seconds on a slow machine."""
CLIPPERD = ("-m", "clipper.daemon")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def await_http(url: str) -> None:
    """Return when something answers there."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(url)
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing answers at {url}")


class Daemon:
    """A running daemon."""

    def __init__(self, process: "subprocess.Popen[bytes]", query: str, admin: str) -> None:
        self.process = process
        self.query = query
        self.admin = admin

    def counter(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        total = 0.0
        metrics = httpx.get(f"{self.admin}/metrics", timeout=SCRAPE_S).text
        for family in text_string_to_metric_families(metrics):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    total += sample.value
        return total

    def memory_bytes(self) -> int:
        """Resident memory of the daemon's own process."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def clipperd(*flags: str, program: Sequence[str] = CLIPPERD) -> Iterator[Daemon]:
    """Start a daemon with files of its own, and end it; `program` is what Python is to run."""
    query_port, admin_port = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="clipper-bench-") as folder:
        command = [sys.executable, *program, "--data-dir", folder]
        command += ["--query-port", str(query_port), "--admin-port", str(admin_port)]
        process = subprocess.Popen([*command, "--log-level", "warning", *flags])
        try:
            urls = [f"http://127.0.0.1:{port}" for port in (query_port, admin_port)]
            await_http(f"{urls[1]}/health/live")
            yield Daemon(process, *urls)
        finally:
            process.terminate()
            process.wait(timeout=60)
