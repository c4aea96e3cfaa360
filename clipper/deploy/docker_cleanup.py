"""Removes the containers of a daemon that has died, and the network if nobody uses it.

    python docker_cleanup.py CONTAINERS_LABEL=VALUE NETWORK_LABEL=VALUE

The reaper becomes this program after the daemon's end. It needs the Docker SDK only.
"""

import sys

import docker
from docker import DockerClient
from docker.errors import APIError
from docker.models.containers import Container

NOT_FOUND = 404
CONFLICT = 409


def labelled(client: DockerClient, label: str) -> list[Container]:
    """All containers with a label, running or not."""
    # Sparse: one that goes away between being listed and being looked at would be an error.
    return client.containers.list(all=True, sparse=True, filters={"label": label})


def remove(container: Container) -> None:
    """Kill and remove a container, unless somebody else did or is at it."""
    try:
        container.remove(force=True, v=True)
    except APIError as error:
        if error.status_code not in (NOT_FOUND, CONFLICT):
            raise


def main(containers: str, networks: str) -> None:
    """Remove what bears the labels; the daemon's next start may have its own containers there."""
    client = docker.from_env()
    for container in labelled(client, containers):
        remove(container)
    client.networks.prune(filters={"label": networks})


if __name__ == "__main__":
    main(*sys.argv[1:])
