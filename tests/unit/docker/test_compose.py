"""The files of docker/compose.yaml, read as Docker, Prometheus and Grafana read them."""

import json
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import clipper
from clipper.core.metrics import Metrics
from clipper.core.settings import Settings

ROOT = Path(__file__).parents[3]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SUFFIXES = ("_total", "_bucket", "_sum", "_count")


@pytest.mark.parametrize("name", SERVICES)
def test_every_port_is_published_on_loopback_only(name: str) -> None:
    published = SERVICES[name].get("ports", [])
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert bool(published) == (name != "redis")


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_pinned_image_a_restart_policy_and_a_check_of_its_health(
    name: str,
) -> None:
    service = SERVICES[name]
    image, _, tag = service["image"].partition(":")
    assert re.search(r"\d+\.\d+\.\d+", tag), f"{image} is not pinned"
    assert service["restart"] == "unless-stopped"
    image_has_one = "HEALTHCHECK" in (DOCKER / "daemon.Dockerfile").read_text()
    assert "healthcheck" in service or (name == "clipperd" and image_has_one)


def test_the_daemons_image_is_the_one_of_this_release() -> None:
    assert SERVICES["clipperd"]["image"] == f"clipper/clipperd:{clipper.__version__}"


def test_no_secret_is_in_a_file_or_a_variable(tmp_path: Path) -> None:
    for service in SERVICES.values():
        named = [key for key in service.get("environment", {}) if re.search("TOKEN|PASSWORD", key)]
        assert all(key.endswith("_FILE") for key in named)
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    for secret in COMPOSE["secrets"].values():
        assert f"/docker/{Path(secret['file']).parent}/" in ignored


def test_every_variable_of_the_daemon_is_one_of_its_settings() -> None:
    variables = SERVICES["clipperd"]["environment"]
    assert {key.removeprefix("CLIPPER_").lower() for key in variables} <= set(Settings.model_fields)


def test_what_has_to_last_is_on_named_volumes_and_every_file_that_is_mounted_is_there() -> None:
    mounts = [mount.split(":")[0] for each in SERVICES.values() for mount in each["volumes"]]
    named = {mount for mount in mounts if not mount.startswith(".")}
    assert named == set(COMPOSE["volumes"]) == set(SERVICES) - {"clipperd"} | {"clipper"}
    files = {mount for mount in mounts if mount.startswith("./compose/")}
    assert files
    assert all((DOCKER / mount).exists() for mount in files)


def test_secrets_are_made_once_for_nobody_but_their_owner_and_the_containers(
    tmp_path: Path,
) -> None:
    script = tmp_path / "secrets.sh"
    script.write_bytes((DOCKER / "compose" / "secrets.sh").read_bytes())
    made: list[dict[str, str]] = []
    for _ in range(2):
        subprocess.run(["bash", script], check=True)
        made.append({path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()})
    assert made[0] == made[1]
    assert set(made[0]) == set(COMPOSE["secrets"])
    assert all(re.fullmatch("[0-9a-f]{48}", secret) for secret in made[0].values())
    assert len(set(made[0].values())) == len(made[0])
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert all(os.stat(path).st_mode & 0o004 for path in (tmp_path / "secrets").iterdir())


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (DOCKER / "compose/grafana/dashboards/clipper.json").read_text()
    )
    return found


def test_every_panel_shows_metrics_that_the_daemon_has() -> None:
    metrics = Metrics()
    metrics.application("a")
    known = {family.name for family in metrics.collect()}
    expressions = [target["expr"] for each in dashboard()["panels"] for target in each["targets"]]
    shown = {name for each in expressions for name in re.findall(r"clipper_\w+", each)}
    assert shown
    assert {family_of(name, known) for name in shown} <= known


def family_of(name: str, known: set[str]) -> str:
    if name in known:
        return name
    return next((name.removesuffix(end) for end in SUFFIXES if name.endswith(end)), name)


def test_the_panels_ask_the_datasource_that_is_provisioned() -> None:
    folder = DOCKER / "compose/grafana"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text())["datasources"]
    used = {each["datasource"]["uid"] for each in dashboard()["panels"]}
    assert used == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((folder / "dashboards/clipper.yaml").read_text())["providers"]
    mounted = [mount.split(":")[1] for mount in SERVICES["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounted


def test_prometheus_asks_a_port_that_the_daemon_listens_on() -> None:
    config = yaml.safe_load((DOCKER / "compose/prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    default = Settings.model_fields["query_port"].default
    assert job["static_configs"] == [{"targets": [f"clipperd:{default}"]}]
