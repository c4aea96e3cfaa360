"""From a deployment to a Docker container: which image, what it is told, what it gets to see."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import clipper
from clipper.deploy.docker_engine import LABEL, USER_ID, Launch
from clipper.deploy.manager import ContainerSpec
from clipper.deploy.permissions import check_readable, tree
from clipper.deploy.program import ONE_THREAD, PYTHON, Code, options_of, saved_model, user_code

CODE_DIR = "/code"
MODEL_DIR = "/model"


@dataclass(frozen=True, slots=True)
class _Content:
    """What a container is told, and the files that it needs for it."""

    environment: Mapping[str, str]
    mounts: Mapping[str, Path]


def launch_of(spec: ContainerSpec, image_prefix: str, token: str) -> Launch:
    """What to ask the engine for; reads the disk.

    Raises:
        DeployError: a path does not exist, or the container's user cannot read it.
    """
    name, version = spec.replica.model
    index = str(spec.replica.index)
    framework = spec.deployment.framework
    contents = [_code(spec), _model(spec)]
    environment = ONE_THREAD | {
        "CLIPPER_CONTAINER_TOKEN": token,
        "CLIPPER_CONTAINER_INPUT_TYPE": spec.accepted,
        "CLIPPER_CONTAINER_NAME": name,
        "CLIPPER_CONTAINER_VERSION": version,
    }
    return Launch(
        name=f"clipper-{name[:40]}-{version[:20]}-{index}-{secrets.token_hex(4)}",
        image=spec.deployment.image
        or f"{image_prefix}/{framework}-container:{clipper.__version__}",
        environment={**environment, **contents[0].environment, **contents[1].environment},
        mounts={**contents[0].mounts, **contents[1].mounts},
        labels={
            f"{LABEL}.model": name,
            f"{LABEL}.version": version,
            f"{LABEL}.replica": index,
        },
    )


def _code(spec: ContainerSpec) -> _Content:
    """A class of the user's own, with its neighbours, which it may import."""
    code = user_code(spec.deployment)
    if code is None:  # the framework's image has its class
        return _Content(options_of(spec.deployment, None), {})
    folder = code.file.parent
    check_readable(iter((folder, code.file)), USER_ID, folder)
    inside = Code(Path(CODE_DIR, code.file.name), code.class_name)
    options = options_of(spec.deployment, inside)
    if spec.deployment.framework == PYTHON:
        options["CLIPPER_CONTAINER_TARGET"] = str(inside)
    return _Content(options, {CODE_DIR: folder})


def _model(spec: ContainerSpec) -> _Content:
    model = saved_model(spec.deployment)
    if model is None:
        return _Content({}, {})
    check_readable(tree(model), USER_ID, model)
    place = MODEL_DIR if model.is_dir() else f"{MODEL_DIR}/{model.name}"
    return _Content({"CLIPPER_CONTAINER_MODEL_DATA": place}, {place: model})
