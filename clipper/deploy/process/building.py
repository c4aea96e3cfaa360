"""Building one environment: a virtual one, made by Python's venv, and filled by its pip.

Both are children of the daemon like the replicas are: they hold up nothing, and nothing of them is
left when the daemon is gone or the build is cancelled. pip has the configuration of the daemon's
user (its index, proxies, certificates), and runs what the packages bring to build themselves: a
requirement is trusted as much as whoever deploys it.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipper.core.errors import DeployError
from clipper.deploy.lifeline import Lifeline
from clipper.deploy.logs import Log
from clipper.deploy.process.child import Child
from clipper.deploy.process.following import follow
from clipper.deploy.reaper import MARK_VARIABLE

BUILD_MAX_S = 1200.0
PIP = ("-m", "pip", "install", "--no-input", "--no-user", "--no-color", "--progress-bar=off")
QUIET = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds with one interpreter, under one lifeline."""

    python: Path
    pip_environment: Mapping[str, str]
    """All that pip is to have of the daemon's environment."""
    lifeline: Lifeline
    mark: str
    """How the marks of all our children begin."""
    numbers: Iterator[int]

    async def build(self, folder: Path, requirements: Sequence[str], file: Log) -> None:
        """Make the environment in an empty folder, which it cannot leave afterwards.

        Raises:
            DeployError: it cannot be made; the message has pip's last lines.
        """
        try:
            async with asyncio.timeout(BUILD_MAX_S):
                await self._run("venv", [str(self.python), "-I", "-m", "venv", str(folder)], file)
                pip = [str(python_in(folder)), "-I", *PIP, "--", *requirements]
                await self._run("pip", pip, file)
        except TimeoutError:
            raise DeployError(
                f"the model's packages were not installed within {BUILD_MAX_S:g} s",
                hint="Look for what takes so long in the replica's log; wheels install fastest.",
            ) from None

    async def _run(self, what: str, command: Sequence[str], file: Log) -> None:
        mark = f"{self.mark}{next(self.numbers)}."
        environment = {**self.pip_environment, **QUIET, MARK_VARIABLE: mark}
        try:
            child = Child(command, environment)
        except OSError as error:
            raise DeployError(
                f"{what} cannot be started: {error}",
                hint="Check the limits on processes and open files, and free memory.",
            ) from error
        end = await follow(child, mark, self.lifeline, file)
        if end.code != 0:
            lines = "".join(f"\n  {line}" for line in end.lines)
            raise DeployError(
                f"the model's packages cannot be installed: {what} {end.reason}; "
                f"its last lines:{lines}",
                hint=HINTS[what],
            )


HINTS = {
    "venv": "Check that the interpreter can make virtual environments (Debian has the package "
    "python3-venv for it) and that the data directory's disk has room.",
    "pip": "Check the names and versions, and that pip finds them when the daemon's user runs it "
    "on this machine.",
}


def python_in(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / "bin" / "python"
