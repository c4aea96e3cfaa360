"""The environments that models run in which ask for packages: built once, shared, thrown away.

Each set of requirements has one, `<data_dir>/environments/<digest>`: a link, put there in one step
when the environment is whole, to the folder `<digest>.<letters>` that it was built in. Environments
cannot be moved, for their scripts name their interpreter by its path; a link can. So what a killed
build leaves is a folder that nothing leads to, and goes when the daemon next starts.

Whoever asks for one that is being built shares the build. An environment goes with the last model
version that needs it.
"""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from clipper.core.errors import DeployError
from clipper.deploy.logs import Log, LogFile
from clipper.deploy.process.building import python_in
from clipper.deploy.shared_build import Copies, SharedBuilds

DIGEST_LENGTH = 32
LOG = "build.log"

Build = Callable[[Path, Sequence[str], Log], Awaitable[None]]
"""Makes the environment in an empty folder, and raises DeployError where it cannot."""


class Environments:
    """The environments of one data directory, for one interpreter."""

    def __init__(self, folder: Path, abi: str, build: Build) -> None:
        # What is compared is resolved too: the folder may be a link to a larger disk.
        self._folder = folder.resolve()
        self._abi = abi
        self._build = build
        self._builds: SharedBuilds[Path] = SharedBuilds("the environment")

    def digest(self, requirements: Collection[str]) -> str:
        """What an environment is known by: its requirements, in any order, and who imports them."""
        text = "\n".join([self._abi, *sorted(set(requirements))])
        return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]

    async def get(self, requirements: Sequence[str], file: Log) -> Path:
        """The folder of an environment that has the requirements, which may have to be built.

        Raises:
            DeployError: it cannot be built.
        """
        digest = self.digest(requirements)
        if found := self._find(digest):
            return found
        text = f"Installing {', '.join(requirements)} (environment {digest})\n"
        await asyncio.to_thread(file.append, text.encode())
        make = partial(self._make, digest, requirements)
        return self._find(digest) or await self._builds.get(digest, make, file)

    def _find(self, digest: str) -> Path | None:
        folder = (self._folder / digest).resolve()
        # The interpreter that it was made from may be gone by now, and it with that.
        return folder if os.access(python_in(folder), os.X_OK) else None

    async def _make(self, digest: str, requirements: Sequence[str], waiting: Log) -> Path:
        folder = await asyncio.to_thread(self._new_folder, digest)
        try:
            await self._build(folder, requirements, Copies([waiting, LogFile(folder / LOG)]))
            self._publish(digest, folder)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise
        return folder

    def _new_folder(self, digest: str) -> Path:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=f"{digest}.", dir=self._folder))
        except OSError as error:
            raise self._unusable(error) from error

    def _publish(self, digest: str, folder: Path) -> None:
        link = folder / "link"
        try:
            link.symlink_to(folder.name)
            link.replace(self._folder / digest)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> DeployError:
        return DeployError(
            f"no environment can be made in {self._folder}: {error.strerror}",
            hint="Make it writable for the daemon's user, and check free disk space.",
        )

    async def keep(self, digests: Collection[str], in_use: Collection[Path]) -> None:
        """Remove every environment but those of these digests, those in use and those to come."""
        wanted = {*digests, *self._builds}
        for link in self._links():
            if link.name not in wanted and link.resolve() not in in_use:
                link.unlink(missing_ok=True)
        await self.sweep(in_use)

    async def sweep(self, in_use: Collection[Path] = ()) -> None:
        """Remove what no link leads to, unless it is in use or being built."""
        wanted = {*in_use, *self._links(), *(link.resolve() for link in self._links())}
        for entry in self._entries():
            digest = entry.name.partition(".")[0]
            if entry not in wanted and digest not in self._builds:
                await asyncio.to_thread(shutil.rmtree, entry, ignore_errors=True)

    def _links(self) -> list[Path]:
        return [entry for entry in self._entries() if entry.is_symlink()]

    def _entries(self) -> list[Path]:
        return list(self._folder.iterdir()) if self._folder.is_dir() else []

    async def close(self) -> None:
        """End the builds under way."""
        await self._builds.close()
