"""`clipper-admin model build`: an image that holds a model, made with this machine's Docker."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from clipper.admin.commands.models import Name, Version
from clipper.admin.commands.quantities import lines_of
from clipper.admin.errors import BuildFailed, InvalidCall
from clipper.admin.terminal import AsJson, Session, command
from clipper.core.errors import ClipperError
from clipper.core.types import Deployment
from clipper.deploy.completion import completed
from clipper.deploy.docker.launch import refuse_program
from clipper.deploy.docker.recipe import Recipe, framework_image
from clipper.deploy.program import PYTHON, saved_model, user_code

BUILDER = (sys.executable, "-P", "-m", "clipper.deploy.docker.image_builder")


def add_to(models: typer.Typer) -> None:
    """Put the command into its group."""
    command(models, "build")(build)


def build(  # noqa: PLR0913 -- an option for each setting
    session: Session,
    name: Name,
    version: Version,
    path: Annotated[
        str,
        typer.Argument(help="The saved model; for python, file.py:ClassName.", show_default=False),
    ],
    framework: Annotated[
        str | None,
        typer.Option(help="What it was saved by; by default told by its looks."),
    ] = None,
    requirement: Annotated[
        list[str] | None,
        typer.Option("--requirement", help="A package to put in, as pandas>=2; may be repeated."),
    ] = None,
    requirements: Annotated[
        Path | None,
        typer.Option(
            help="A file of such packages, a line each; by default requirements.txt in the folder "
            "that PATH is, or that its class lies in."
        ),
    ] = None,
    model_data: Annotated[
        str, typer.Option(help="Files for a python model, given to its class.")
    ] = "",
    gpus: Annotated[bool, typer.Option("--gpus", help="Build on the image for GPUs.")] = False,
    prefix: Annotated[
        str, typer.Option(help="How the images' names begin, the framework's and the new one's.")
    ] = "clipper",
    image: Annotated[str, typer.Option(help="Another name for the new image.")] = "",
    as_json: AsJson = False,
) -> None:
    """Build a Docker image that holds a model and the packages that it needs; deploys nothing.

    The model's files and packages found by this machine's pip go on top of the framework's image.

    \b
    Examples:
      clipper-admin model build svm 1 svm.joblib --framework sklearn
      clipper-admin model build rules 2 rules.py:Rules --requirement 'pandas>=2'
    """
    wanted = (*(requirement or ()), *(lines_of(requirements) if requirements else ()))
    said = Deployment("docker", framework or "", path, model_data=model_data, requirements=wanted)
    try:
        deployment = completed(said, finds_requirements=not wanted)
        refuse_program(deployment)
        recipe = Recipe(
            image=image or f"{prefix}/{name}:{version}",
            base=framework_image(prefix, deployment.framework, gpus=gpus),
            requirements=deployment.requirements,
            code=user_code(deployment),
            code_serves=deployment.framework == PYTHON,
            model=saved_model(deployment),
        )
    except ClipperError as error:
        raise InvalidCall(error.message, hint=error.hint) from error
    _run(session, recipe)
    deploy = f"clipper-admin model deploy {name} {version} --framework {deployment.framework}"
    deploy += f" --manager docker --image {recipe.image}"
    if as_json:
        session.show_json({"image": recipe.image, "deploy": deploy})
        return
    session.say(f"Built {recipe.image}.")
    session.say(f"Next: {deploy}")


def _run(session: Session, recipe: Recipe) -> None:
    """Run the builder, and show what it says as it comes; none of that is an answer."""
    with subprocess.Popen(
        [*BUILDER, recipe.json()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as builder:
        assert builder.stdout is not None
        for line in builder.stdout:
            session.say(line.rstrip("\n"))
    if builder.returncode != 0:
        raise BuildFailed(
            f"The image {recipe.image} was not built.",
            hint="What pip and Docker said is above.",
        )
