"""A build of an image as a child of the daemon: it holds up nothing, and never outlives us.

The engine ends a build whose caller has gone, so that nothing of it is left there either.
"""

import asyncio
import itertools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import clipper
from clipper.core.errors import DeployError
from clipper.deploy.docker.recipe import Recipe
from clipper.deploy.lifeline import Lifeline
from clipper.deploy.logs import Log
from clipper.deploy.process.child import Child
from clipper.deploy.process.following import follow
from clipper.deploy.reaper import MARK_VARIABLE

BUILD_MAX_S = 1200.0
COMMAND = (sys.executable, "-P", "-m", "clipper.deploy.docker.image_builder")


@dataclass(frozen=True, slots=True)
class ImageBuilder:
    """Builds images under one lifeline."""

    lifeline: Lifeline
    mark: str
    """How the marks of all our children begin."""
    variables: Mapping[str, str]
    """All that pip and the way to the engine are to have of the daemon's environment."""
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def build(self, recipe: Recipe, file: Log) -> None:
        """Build an image; what pip and the engine say goes to a log.

        Raises:
            DeployError: it cannot be built; the message has the last lines.
        """
        mark = f"{self.mark}{next(self.numbers)}."
        source = str(Path(clipper.__file__).parent.parent)
        variables = {**self.variables, "PYTHONPATH": source, MARK_VARIABLE: mark}
        try:
            child = Child([*COMMAND, recipe.json()], variables)
        except OSError as error:
            raise DeployError(
                f"no process can be started to build {recipe.image}: {error}",
                hint="Check the limits on processes and open files, and free memory.",
            ) from error
        try:
            async with asyncio.timeout(BUILD_MAX_S):
                end = await follow(child, mark, self.lifeline, file)
        except TimeoutError:
            raise DeployError(
                f"the image {recipe.image} was not built within {BUILD_MAX_S:g} s",
                hint="Look for what takes so long in the replica's log.",
            ) from None
        if end.code != 0:
            lines = "".join(f"\n  {line}" for line in end.lines)
            raise DeployError(
                f"the image with the model's packages cannot be built: the builder {end.reason}; "
                f"its last lines:{lines}",
                hint="Check the names and versions, and that pip finds wheels of them when the "
                "daemon's user runs it on this machine.",
            )
