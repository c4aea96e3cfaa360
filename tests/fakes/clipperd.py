"""A real clipperd for tests: started with any settings, ended in any way, and started again."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from clipper.admin.client import ClipperConnection
from tests.fakes.watching import is_alive, until

MODELS = Path(__file__).with_name("troublemaker.py")
START_S = 30.0
STOP_S = 45.0


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


def descendants(pid: int) -> set[int]:
    """The processes that a process started, that these started, and so on."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                words = (folder / "stat").read_bytes().rpartition(b")")[2].split()
                children.setdefault(int(words[1]), []).append(int(folder.name))
    found: set[int] = set()
    rest = [pid]
    while rest:
        new = children.get(rest.pop(), [])
        found.update(new)
        rest += new
    return found


class Clipperd:
    """One daemon's settings, and the process that runs with them now, if any does."""

    def __init__(self, folder: Path, **settings: object) -> None:
        """Keyword arguments are settings, as `batch_timeout_s=2`."""
        self.folder = folder
        query_port, admin_port = free_ports()
        ports = {"query_port": query_port, "admin_port": admin_port}
        self.settings = {"data_dir": folder / "data", **ports, **settings}
        self.url, self.query_url = (f"http://127.0.0.1:{port}" for port in (admin_port, query_port))
        self.log = folder / "clipperd.log"
        self.environment = plain_environment(folder)
        self.program = script("clipperd", "clipper.daemon")
        self.started: set[int] = set()
        """Every process of it that was ever seen."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def query_port(self) -> int:
        """Of the query listener."""
        return int(self.query_url.rpartition(":")[2])

    @property
    def admin_port(self) -> int:
        """Of the admin listener."""
        return int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        """Of the daemon's own process, which leads a group."""
        assert self._process is not None
        return self._process.pid

    def command(self) -> list[str]:
        """How it is run."""
        words = list(self.program)
        for key, value in self.settings.items():
            flag = f"--{key.replace('_', '-')}"
            words += [flag] if value is True else [flag, str(value)]
        return words

    def launch(self) -> None:
        """Start it, whatever becomes of it."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, env=self.environment, process_group=0
            )

    def start(self) -> "Clipperd":
        """Start it and wait until it answers."""
        self.launch()
        until(lambda: self.is_dead() or self.is_live(), START_S, "an answer of clipperd")
        assert not self.is_dead(), self.text()
        return self

    def is_live(self) -> bool:
        """Whether it answers."""
        return self._health("live") == 200

    def is_ready(self) -> bool:
        """Whether it says that queries are answered by models."""
        return self._health("ready") == 200

    def _health(self, what: str) -> int:
        try:
            return httpx.get(f"{self.url}/health/{what}", trust_env=False).status_code
        except httpx.TransportError:
            return 0

    def text(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-8000:]

    def connect(self, **options: Any) -> ClipperConnection:
        """A client of it."""
        return ClipperConnection(self.url, self.query_url, **options)

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A plain request: to the admin listener, or to the query listener for other routes."""
        url = self.url if path.startswith(("/api", "/admin", "/health")) else self.query_url
        return httpx.request(method, url + path, trust_env=False, timeout=60, **options)

    def metrics(self, name: str) -> dict[tuple[str, ...], float]:
        """The samples of a metric, by the values of their labels in order."""
        text = httpx.get(f"{self.url}/metrics", trust_env=False).text
        return {
            tuple(sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        }

    def outcomes(self, app: str) -> dict[str, int]:
        """How many queries of an application came to which end."""
        queries = self.metrics("clipper_queries_total").items()
        return {outcome: int(count) for (of, outcome), count in queries if of == app and count}

    def replica_pid(self, name: str, version: str = "1", index: int = 0) -> int:
        """The process of a replica that runs; 0 while there is none."""
        path = f"/api/v1/models/{name}/versions/{version}"
        for state in self.call("GET", path).json()["replica_states"]:
            if state["index"] == index and state["state"] == "ready":
                return int(state["identity"].removeprefix("pid "))
        return 0

    def note_processes(self) -> set[int]:
        """Its processes now, itself included; they are remembered."""
        if not self.is_dead():
            self.started |= descendants(self.pid) | {self.pid}
        return {pid for pid in self.started if is_alive(pid)}

    def peak_memory_mb(self) -> float:
        """The most memory that the daemon itself ever had."""
        status = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

    def cpu_s(self) -> float:
        """Processor time that the daemon itself has used."""
        words = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def is_dead(self) -> bool:
        """Whether it does not run."""
        return self._process is None or self._process.poll() is not None

    def signal(self, number: int) -> None:
        """Send the daemon itself a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self, *, group: bool = False) -> None:
        """kill -9, of its whole process group if asked; returns when it is dead."""
        self.note_processes()
        (os.killpg if group else os.kill)(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self, within_s: float = STOP_S) -> int:
        """Wait for its end; returns the exit code."""
        assert self._process is not None
        return self._process.wait(within_s)

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.note_processes()
        self.signal(signal.SIGTERM)
        return self.wait()

    def close(self) -> None:
        """End it if it runs; nothing of it may be left."""
        try:
            if not self.is_dead():
                self.terminate()
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        until(lambda: not self.note_processes(), 10, "the end of every process of clipperd")


@contextlib.contextmanager
def clipperd(folder: Path, **settings: object) -> Iterator[Clipperd]:
    """A daemon that answers, and that is gone afterwards with all that it started."""
    daemon = Clipperd(folder, **settings)
    try:
        yield daemon.start()
    finally:
        daemon.close()


def serve(
    clipper: ClipperConnection, name: str, model: str = "Troublemaker", **options: Any
) -> None:
    """An application of JSON and a model of ours, both of this name, linked.

    Options: `slo_ms` and `on_overload` of the application, and those of `deploy_model`.
    """
    slo_ms, on_overload = options.pop("slo_ms", 10_000), options.pop("on_overload", None)
    clipper.register_application(name, "json", '"default"', slo_ms * 1000, on_overload=on_overload)
    clipper.deploy_model(name, 1, "json", f"{MODELS}:{model}", framework="python", **options)
    clipper.link_model_to_app(name, name)
