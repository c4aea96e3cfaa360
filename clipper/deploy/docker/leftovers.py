"""Containers of this instance that nobody follows: taken over, or removed.

A daemon that was killed leaves its containers running. The next one on its data directory takes
over those that are as it would start them itself; what is dead, unwell or not wanted is removed,
but what it has printed stays in the log of its replica.
"""

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock

from clipper.core.errors import DeployError
from clipper.core.types import ReplicaId
from clipper.deploy.docker.engine import Engine, Found
from clipper.deploy.logs import LogFile, log_path

KEPT_LINES = 2_000
"""Of what a container printed, so much goes to its replica's log."""


class Leftovers:
    """What an earlier daemon has left, and whatever else of ours has lost its owner."""

    def __init__(self, engine: Engine, data_dir: Path, found: Iterable[Found]) -> None:
        self._engine = engine
        self._data_dir = data_dir
        there = {one.name: one for one in found}
        self._adoptable = {name: one for name, one in there.items() if one.is_well and one.replica}
        self._there = there
        """All of ours that were there when it was last looked."""
        self._taken: set[str] = set()
        self._clearing = Lock()

    @property
    def addresses(self) -> frozenset[str]:
        """All from which one of ours could call somebody, whoever started it."""
        return frozenset().union(*(one.addresses for one in self._there.values()))

    def are_there(self, replica: ReplicaId) -> bool:
        """Whether a container of this replica may be taken over."""
        return any(one.replica == replica for one in self._untaken())

    def take(self, replica: ReplicaId, launch: str) -> Found | None:
        """A container of this replica that was launched so; it is the caller's from now on."""
        for one in self._untaken():
            if (one.replica, one.launch) == (replica, launch):
                self._taken.add(one.name)
                return one
        return None

    def _untaken(self) -> list[Found]:
        return [one for name, one in self._adoptable.items() if name not in self._taken]

    def give_up(self) -> None:
        """Nobody will ask for those that are left."""
        self._adoptable.clear()

    def clear(self, keep: Callable[[str], bool]) -> None:
        """Remove all that are neither kept by name nor may be taken over; blocks.

        Raises:
            DeployError: the engine does not do it.
        """
        with self._clearing:
            self._there = {one.name: one for one in self._engine.found()}
            for one in tuple(self._there.values()):
                if not keep(one.name) and one.name not in self._adoptable:
                    if one.replica is not None:
                        keep_output(self._engine, one.id, log_file(self._data_dir, one.replica))
                    self._engine.remove(one.id)
                    self._there = {key: it for key, it in self._there.items() if it is not one}


def log_file(data_dir: Path, replica: ReplicaId) -> LogFile:
    """Where the output of a replica's containers goes when they have ended."""
    return LogFile(log_path(data_dir, replica))


def keep_output(engine: Engine, container_id: str, file: LogFile) -> bytes:
    """Append what a container printed to its log; returns it. A log that is lost is no error."""
    output = b""
    with contextlib.suppress(DeployError):
        output = engine.output(container_id, KEPT_LINES)
        file.append(output)
    return output
