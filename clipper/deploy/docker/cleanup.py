"""Removes the containers and the network of a daemon that has died and does not come back.

    python cleanup.py LOCK_FILE GRACE_S LABEL=VALUE

The reaper becomes this program after the daemon's end. For the grace the containers go on: another
daemon that starts on the data directory, and then holds its lock, takes them over and tidies up by
itself. It needs the Docker SDK only.
"""

import fcntl
import sys
import time
from pathlib import Path

import docker
from docker import DockerClient
from docker.errors import APIError
from docker.models.containers import Container

NOT_FOUND = 404
CONFLICT = 409
LOOK_S = 0.5
"""How often it is seen whether there is another daemon; a dead one's lock is free by then."""


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


def clear(label: str) -> None:
    """Remove what bears the label."""
    client = docker.from_env()
    for container in labelled(client, label):
        remove(container)
    client.networks.prune(filters={"label": label})


def main(lock: str, grace_s: str, label: str) -> None:
    """Wait, then clear up while nobody can take the lock; do nothing where somebody has it."""
    end = time.monotonic() + float(grace_s)
    is_over = False
    while not is_over:
        time.sleep(LOOK_S)
        is_over = time.monotonic() >= end
        try:
            with Path(lock).open("ab") as place:
                fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if is_over:
                    clear(label)
        except FileNotFoundError:  # the data directory is gone: no daemon can start on it
            clear(label)
            return
        except BlockingIOError:
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
