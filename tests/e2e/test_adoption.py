"""A daemon that is killed while its Docker containers run: the next one serves from them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from clipper.deploy.instance import instance_id
from tests.fakes.clipperd import Clipperd, clipperd, serve
from tests.fakes.engine import require_docker
from tests.fakes.watching import until

pytestmark = pytest.mark.docker


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    require_docker()
    with contextlib.closing(docker.from_env()) as client:
        yield client


def states(daemon: Clipperd, name: str) -> list[dict[str, Any]]:
    body = daemon.call("GET", f"/api/v1/models/{name}/versions/1").json()
    return list(body["replica_states"])


def identities(daemon: Clipperd, name: str) -> set[str]:
    return {state["identity"] for state in states(daemon, name) if state["state"] == "ready"}


def is_answered(daemon: Clipperd, name: str, input: object) -> bool:
    answer = daemon.call("POST", f"/{name}/predict", json={"input": input})
    return answer.status_code == 200 and answer.json()["output"] == input


def left(engine: docker.DockerClient, daemon: Clipperd) -> list[Any]:
    """What the engine has of a daemon, containers and networks."""
    label = f"ai.clipper.instance={instance_id(daemon.folder / 'data')}"
    containers = engine.containers.list(all=True, sparse=True, filters={"label": label})
    return [*containers, *engine.networks.list(filters={"label": label})]


@pytest.mark.parametrize("workers", [1, 2], ids=["alone", "two workers"])
def test_the_same_containers_answer_after_the_next_start(
    engine: docker.DockerClient, tmp_path: Path, workers: int
) -> None:
    with clipperd(tmp_path, workers=workers) as daemon:
        with daemon.connect() as clipper:
            serve(clipper, "stays", manager="docker", num_replicas=2)
        until(lambda: len(identities(daemon, "stays")) == 2, 30, "both replicas")
        before = identities(daemon, "stays")
        daemon.kill()
        assert len(left(engine, daemon)) == 3
        daemon.start()
        until(lambda: is_answered(daemon, "stays", "again"), 20, "an answer after the start")
        until(lambda: identities(daemon, "stays") == before, 20, "the containers of before")
        assert [state["restarts"] for state in states(daemon, "stays")] == [0, 0]
        log = daemon.call("GET", "/api/v1/models/stays/versions/1/logs").text
        assert log.count("Loading stays:1") == 1
    assert not left(engine, daemon), "it ended in order"


def test_of_a_daemon_that_does_not_come_back_nothing_is_left_after_the_grace(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with clipperd(tmp_path, container_grace_s=2) as daemon:
        with daemon.connect() as clipper:
            serve(clipper, "goes", manager="docker")
        daemon.kill(group=True)
        assert len(left(engine, daemon)) == 2
        until(lambda: not left(engine, daemon), 15, "the end of the grace")


def test_a_container_that_died_meanwhile_is_replaced_and_what_it_said_is_kept(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with clipperd(tmp_path) as daemon:
        with daemon.connect() as clipper:
            serve(clipper, "dies", manager="docker")
        (before,) = identities(daemon, "dies")
        daemon.kill()
        engine.api.kill(before.removeprefix("docker "))
        daemon.start()
        until(lambda: is_answered(daemon, "dies", "again"), 20, "an answer of another container")
        assert identities(daemon, "dies").isdisjoint({before})
        log = daemon.call("GET", "/api/v1/models/dies/versions/1/logs").text
        assert log.count("Loading dies:1") == 2
