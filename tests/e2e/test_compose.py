"""The set of docker/compose.yaml, run by Docker: it serves, it remembers, it is watched.

Redis and Prometheus come from Debian's packages. Grafana is no package there: its files are read by
tests/unit/docker/test_compose.py only.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

import clipper
from clipper.admin.client import ClipperConnection
from tests.fakes.clipperd import free_ports
from tests.fakes.engine import require_image
from tests.fakes.needs import missing
from tests.fakes.watching import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "compose"
RUN = ("clipperd", "redis", "prometheus")
START_S = 60


@dataclass(frozen=True, slots=True)
class Running:
    """A project of Docker Compose that runs."""

    folder: Path
    project: str
    ports: dict[str, int]

    def compose(self, *arguments: str) -> str:
        """What docker-compose printed."""
        command = ["docker-compose", "--project-name", self.project]
        command += ["--file", "compose.yaml", "--file", "override.yaml", *arguments]
        variables = os.environ | {key: str(port) for key, port in self.ports.items()}
        done = subprocess.run(
            command, cwd=self.folder, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.ports[port]}"

    def is_live(self) -> bool:
        try:
            answer = httpx.get(self.url("CLIPPER_ADMIN_PORT") + "/health/live", trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    def connect(self) -> ClipperConnection:
        """A client that has the admin token."""
        token = (self.folder / "compose/secrets/admin_token").read_text()
        admin, query = map(self.url, ("CLIPPER_ADMIN_PORT", "CLIPPER_QUERY_PORT"))
        return ClipperConnection(admin, query, token=token)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The set, in a copy of its folder, with ports and volumes of its own."""
    if shutil.which("docker-compose") is None:
        missing("docker", "docker-compose is not installed")
    require_image("clipper-base:bookworm")
    require_image(f"clipper/clipperd:{clipper.__version__}")
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", "clipper-test/services:bookworm", HERE], check=True
    )
    folder = tmp_path_factory.mktemp("compose") / "docker"
    shutil.copytree(ROOT / "docker", folder, ignore=shutil.ignore_patterns("secrets", "models"))
    shutil.copy(HERE / "override.yaml", folder)
    subprocess.run(["bash", folder / "compose/secrets.sh"], check=True)
    names = ("CLIPPER_QUERY_PORT", "CLIPPER_ADMIN_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")
    ports = dict(zip(names, (*free_ports(), *free_ports()), strict=True))
    running = Running(folder, f"clipper-test-{secrets.token_hex(4)}", ports)
    try:
        running.compose("up", "--detach", *RUN)
        until(running.is_live, START_S, "an answer of the daemon")
        yield running
    finally:
        running.compose("down", "--volumes", "--timeout", "5")


def test_a_model_is_served_and_is_there_again_after_the_daemon_was_killed(
    running: Running,
) -> None:
    with closing(running.connect()) as clipper:
        until(lambda: clipper.status()["store"]["state"] == "ok", START_S, "a store")
        clipper.register_application("sums", "doubles", "-1", 5_000_000)
        clipper.deploy_model("noop", 1, "doubles", "", framework="noop")
        clipper.link_model_to_app("sums", "noop")
        assert clipper.predict("sums", [1.0, 2.0]).output == 3
        keys = running.compose("exec", "-T", "redis", "redis-cli", "--scan").split()
        assert "clipper:configuration" in keys
        running.compose("kill", "-s", "SIGKILL", "clipperd")
        running.compose("start", "clipperd")
        until(lambda: running.is_live() and clipper.status()["ready"], START_S, "readiness")
        assert clipper.predict("sums", [2.0, 2.0]).output == 4


def test_only_who_has_the_token_may_administer(running: Running) -> None:
    answer = httpx.get(running.url("CLIPPER_ADMIN_PORT") + "/api/v1/models", trust_env=False)
    assert answer.status_code == 401


def test_prometheus_has_what_the_daemon_counts(running: Running) -> None:
    url = running.url("PROMETHEUS_PORT") + "/api/v1/query"

    def scraped() -> bool:
        asked = {"query": "clipper_store_degraded"}
        found = httpx.get(url, params=asked, trust_env=False).json()["data"]["result"]
        return [one["value"][1] for one in found] == ["0"]

    until(scraped, START_S, "a scrape")


def test_every_service_is_well(running: Running) -> None:
    until(lambda: running.compose("ps").count("(healthy)") == len(RUN), START_S, "their health")
