"""A connection to the Docker engine, and what its errors mean to whoever deploys."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import docker
from docker import DockerClient
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from clipper.core.errors import DeployError

TIMEOUT_S = 30
CONNECTIONS = 1000
"""At once: each container that runs has one, on which its end is awaited."""

NO_GPUS = "could not select device driver"
"""How the engine says that it cannot give any."""


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise DeployError for whatever the engine, or the way to it, does wrong."""
    try:
        yield
    except APIError as error:
        reason = str(error.explanation or error).strip()
        raise DeployError(
            f"{what}: the Docker engine says: {reason}",
            hint="Install the NVIDIA Container Toolkit on this machine and restart Docker, or "
            "deploy without GPUs."
            if NO_GPUS in reason
            else "",
        ) from error
    except (DockerException, RequestException, OSError, ValueError) as error:
        raise DeployError(
            f"{what}: no Docker engine answers: {error}",
            hint="Start Docker, let this user use its socket, or point DOCKER_HOST at it; "
            "or deploy with the manager `process`.",
        ) from error


def connect() -> DockerClient:
    """A client of the engine that the environment names.

    Raises:
        DeployError: none answers, or one whose containers cannot be reached from here.
    """
    with translated("containers cannot be run with Docker"):
        client: DockerClient = docker.from_env(timeout=TIMEOUT_S, max_pool_size=CONNECTIONS)
        try:
            check_reachable(client.info())
        except BaseException:
            client.close()
            raise
    return client


def check_reachable(info: Mapping[str, Any]) -> None:
    """Refuse an engine whose networks are not this machine's, by what it says of itself.

    Raises:
        DeployError: there is no way from here to the address of a container.
    """
    is_rootless = any("rootless" in option for option in info.get("SecurityOptions") or ())
    if is_rootless or info.get("OperatingSystem") == "Docker Desktop":
        kind = "is rootless" if is_rootless else "is that of Docker Desktop"
        raise DeployError(
            f"the Docker engine {kind}: this machine has no way to the addresses of its containers",
            hint="Point DOCKER_HOST at an engine that runs as root on this machine, as in "
            "unix:///var/run/docker.sock, or deploy with the manager `process`.",
        )
