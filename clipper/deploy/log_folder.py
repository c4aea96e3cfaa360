"""The logs of all replicas: those of versions that are gone go too, a day after the last line."""

import asyncio
import contextlib
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from clipper.core.clock import utc_now
from clipper.core.types import ModelId, ReplicaId
from clipper.deploy.logs import LogFile

QUIET_S = 24 * 3600.0
"""Whoever asks why a deploy has failed may come back to it so late."""


class LogFolder:
    """`<name>/<version>/<index>.log`, and what was there before the file grew too large."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def begin(self, model: ModelId) -> None:
        """Remove what an earlier attempt at a version has printed: a trial begins with nothing."""
        folder = self._folder / model.name / model.version
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def tail(self, replica: ReplicaId, count: int) -> Sequence[str]:
        """The last lines that a replica has printed, also where it is gone; empty if it never did.

        The name and version are taken for folders: they have to be checked.
        """
        name, version = replica.model
        file = LogFile(self._folder / name / version / f"{replica.index}.log")
        return await asyncio.to_thread(file.tail, count)

    async def forget(self, models: Collection[ModelId]) -> None:
        """Remove the logs of versions that are not among these, unless they are new."""
        await asyncio.to_thread(self._forget, models)

    def _forget(self, models: Collection[ModelId]) -> None:
        for folder in self._folder.glob("*/*"):
            is_gone = ModelId(folder.parent.name, folder.name) not in models
            with contextlib.suppress(OSError):  # a replica may be writing its first line
                if is_gone and _is_quiet(folder):
                    shutil.rmtree(folder, ignore_errors=True)
                    folder.parent.rmdir()  # if it was the last version


def _is_quiet(folder: Path) -> bool:
    last = max((file.stat().st_mtime for file in folder.iterdir()), default=0.0)
    return utc_now() - last > QUIET_S
