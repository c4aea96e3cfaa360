"""Images for models that ask for packages: the framework's with these on top, each built once.

An image's name says whose it is, what it is built on and what was asked for, and its label which
build of the base that was, as the base's name comes to mean another one. Whoever asks for an image
that is being built shares the build.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator
from functools import partial

from clipper.core.errors import DeployError, InvalidInput
from clipper.core.types import Deployment
from clipper.deploy.docker.recipe import Recipe, environment_image, framework_image
from clipper.deploy.docker.request import INSTANCE_LABEL
from clipper.deploy.logs import Log
from clipper.deploy.shared_build import SharedBuilds

IsMadeOf = Callable[[str, str], Awaitable[bool]]
"""Whether an image is there, and was built on what the base's name means now."""
Build = Callable[[Recipe, Log], Awaitable[None]]
"""Builds an image; raises DeployError where it cannot be."""


class EnvironmentImages:
    """Those of one daemon."""

    def __init__(self, prefix: str, instance: str, is_made_of: IsMadeOf, build: Build) -> None:
        self._prefix = prefix
        self._instance = instance
        self._is_made_of = is_made_of
        self._build = build
        self._builds: SharedBuilds[None] = SharedBuilds("the image")
        self._starting: Counter[str] = Counter()

    def needed_by(self, deployments: Collection[Deployment]) -> Callable[[str], bool]:
        """Tells, in any thread, of an image whether the deployments or a start under way need it.

        Of starts it knows those that are under way when it is asked.
        """
        names = {self._recipe(one).image for one in deployments if asks_for_packages(one)}
        return lambda image: image in names or self._starting[image] > 0

    @contextlib.contextmanager
    def starting(self, deployment: Deployment) -> Iterator[None]:
        """Meanwhile its image is needed, though no container uses it yet."""
        if not asks_for_packages(deployment):
            yield
            return
        image = self._recipe(deployment).image
        self._starting[image] += 1
        try:
            yield
        finally:
            self._starting[image] -= 1
            self._starting += Counter()  # drops those that are at zero

    async def get(self, deployment: Deployment, file: Log) -> str:
        """The image that it asks for, which may have to be built; the output of that goes to a log.

        Raises:
            DeployError: it cannot be built.
        """
        recipe = self._recipe(deployment)
        is_coming = recipe.image in self._builds
        if not is_coming and await self._is_made_of(recipe.image, recipe.base):
            return recipe.image
        await asyncio.to_thread(file.append, f"Building the image {recipe.image}\n".encode())
        await self._builds.get(recipe.image, partial(self._build, recipe), file)
        return recipe.image

    def _recipe(self, deployment: Deployment) -> Recipe:
        base = framework_image(self._prefix, deployment.framework, gpus=bool(deployment.gpus))
        wanted = deployment.requirements
        image = environment_image(self._prefix, self._instance, base, wanted)
        try:
            return Recipe(image, base, wanted, labels={INSTANCE_LABEL: self._instance})
        except InvalidInput as error:
            raise DeployError(error.message, hint=error.hint) from error

    async def close(self) -> None:
        """End what is being built."""
        await self._builds.close()


def asks_for_packages(deployment: Deployment) -> bool:
    """Whether an image has to be built for it; one of its own has what it needs."""
    return bool(deployment.requirements) and not deployment.image
