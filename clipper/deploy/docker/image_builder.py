"""Builds the image for a model: a program of its own, as pip and archives would hold up a daemon.

    python -m clipper.deploy.docker.image_builder RECIPE

RECIPE is what `Recipe.json` gave. What pip and the engine say is printed; the exit code is 0 when
the image is there. The engine gives up a build whose caller has gone, so killing this ends it.
"""

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import docker
from docker import DockerClient
from docker.errors import ContainerError, ImageNotFound

from clipper.core.errors import ClipperError, DeployError
from clipper.deploy.docker.build_context import write_context
from clipper.deploy.docker.client import translated
from clipper.deploy.docker.recipe import PACKAGES, Recipe
from clipper.deploy.docker.request import BASE_LABEL, BUILT_LABEL
from clipper.deploy.docker.wheels import PROBE, Platform, unpack

SILENCE_MAX_S = 900
"""How long one step of a build may take."""
PROBE_MEMORY_BYTES = 512 << 20


def build(recipe: Recipe) -> None:
    """Build an image, and print how it goes.

    Raises:
        DeployError: it could not be built; what was printed says why.
    """
    with translated(_fails(recipe)):
        connected: DockerClient = docker.from_env(timeout=SILENCE_MAX_S)
    with contextlib.closing(connected) as client:
        # Never one from a registry, where anybody may have taken the name.
        with translated(_fails(recipe)):
            base_id = id_of(client, recipe.base)
        with (
            _own_words(recipe),
            tempfile.TemporaryDirectory() as folder,
            tempfile.TemporaryFile() as archive,
        ):
            packages = Path(folder, PACKAGES)
            packages.mkdir()
            if recipe.requirements:
                say(f"Looking for {', '.join(recipe.requirements)}")
                unpack(recipe.requirements, packages, _platform(client, recipe))
            write_context(recipe, packages, archive)
            archive.seek(0)
            _run(client, recipe, base_id, archive)


def _fails(recipe: Recipe) -> str:
    return f"the image {recipe.image} cannot be built"


@contextlib.contextmanager
def _own_words(recipe: Recipe) -> Iterator[None]:
    """Raise DeployError for what is wrong with files, with pip or with what it said."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise DeployError(
            f"{_fails(recipe)}: {error}",
            hint="Check that the model's files can be read, that there is room for temporary "
            "files, and that pip works.",
        ) from error


def id_of(client: DockerClient, image: str) -> str:
    """Which image it is.

    Raises:
        DeployError: the engine does not have it.
    """
    try:
        return str(client.images.get(image).id)
    except ImageNotFound as error:
        raise DeployError(
            f"there is no image {image}",
            hint="Build it with `docker/build.sh` from the source tree, or pull it.",
        ) from error


def _platform(client: DockerClient, recipe: Recipe) -> Platform:
    """What runs in the image, as it says itself, in a container that can do nothing else."""
    with translated(_fails(recipe)):
        try:
            told = client.containers.run(
                recipe.base,
                ["-c", PROBE],
                entrypoint=["python3"],
                labels={BUILT_LABEL: "1", **recipe.labels},
                remove=True,
                network_mode="none",
                read_only=True,
                cap_drop=["ALL"],
                mem_limit=PROBE_MEMORY_BYTES,
                init=True,
            )
        except ContainerError as error:
            raise DeployError(
                f"{_fails(recipe)}: Python does not run in its base: {error}"
            ) from error
    return Platform.parse(told)


def _run(client: DockerClient, recipe: Recipe, base_id: str, context: IO[bytes]) -> None:
    for step in _steps(client, recipe, base_id, context):
        if text := str(step.get("stream", "")).rstrip():
            say(text)
        if "error" in step:
            raise DeployError(f"{_fails(recipe)}: {step['error']}")


def _steps(
    client: DockerClient, recipe: Recipe, base_id: str, context: IO[bytes]
) -> Iterator[Mapping[str, Any]]:
    """What the engine says of a build, as it comes; what is done with it is not the engine's."""
    with translated(_fails(recipe)):
        yield from client.api.build(
            fileobj=context,
            custom_context=True,
            tag=recipe.image,
            labels={BUILT_LABEL: "1", BASE_LABEL: base_id, **recipe.labels},
            network_mode="none",
            rm=True,
            forcerm=True,
            decode=True,
        )


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(text: str) -> int:
    """Build; the result is the exit code."""
    try:
        build(Recipe.parse(text))
    except ClipperError as error:
        say(f"Error: {error.message}")
        if error.hint:
            say(f"Next:  {error.hint}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
