"""From a deployment to a Docker container: which image, what it is told, what it gets to see."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from clipper.core.errors import DeployError, InvalidInput
from clipper.core.references import check_image
from clipper.core.types import Deployment
from clipper.deploy.docker.build_context import neighbours
from clipper.deploy.docker.permissions import check_readable, tree
from clipper.deploy.docker.recipe import framework_image
from clipper.deploy.docker.request import (
    INPUT_TYPE_VARIABLE,
    REPLICA_LABELS,
    USER_ID,
    Launch,
    Limits,
)
from clipper.deploy.frameworks import EXECUTABLE
from clipper.deploy.manager import ContainerSpec
from clipper.deploy.program import (
    ONE_THREAD,
    PYTHON,
    Code,
    options_of,
    saved_model,
    user_code,
)

CODE_DIR = "/code"
MODEL_DIR = "/model"


@dataclass(frozen=True, slots=True)
class _Content:
    """What a container is told, and the files that it needs for it."""

    environment: Mapping[str, str]
    mounts: Mapping[str, Path]


def launch_of(spec: ContainerSpec, image_prefix: str, token: str, limits: Limits) -> Launch:
    """What to ask the engine for, within the limits unless the deployment has its own; reads disk.

    Raises:
        DeployError: a path does not exist, or the container's user cannot read it; or the image is
            none.
    """
    name, version = spec.replica.model
    index = spec.replica.index
    deployment = spec.deployment
    contents = [_code(spec), _model(spec)]
    environment = ONE_THREAD | {
        INPUT_TYPE_VARIABLE: spec.accepted,
        "CLIPPER_CONTAINER_NAME": name,
        "CLIPPER_CONTAINER_VERSION": version,
    }
    return Launch(
        name=f"clipper-{name[:40]}-{version[:20]}-{index}-{secrets.token_hex(4)}",
        image=_image(deployment, image_prefix),
        token=token,
        environment={**environment, **contents[0].environment, **contents[1].environment},
        mounts={**contents[0].mounts, **contents[1].mounts},
        labels=dict(zip(REPLICA_LABELS, (name, version, str(index)), strict=True)),
        limits=replace(
            limits,
            memory_bytes=deployment.memory_bytes or limits.memory_bytes,
            cpus=deployment.cpus or limits.cpus,
        ),
        gpus=deployment.gpus_of(index),
        network=deployment.network,
    )


def refuse_program(deployment: Deployment) -> None:
    """There is no image for programs of this machine.

    Raises:
        DeployError: the deployment is one.
    """
    if deployment.framework == EXECUTABLE:
        raise DeployError(
            f"the program {deployment.path!r} is run by the manager process only",
            hint="Put it into an image and name that with --image, and nothing else.",
        )


def _image(deployment: Deployment, prefix: str) -> str:
    refuse_program(deployment)
    framework = framework_image(prefix, deployment.framework, gpus=bool(deployment.gpus))
    try:
        return check_image(deployment.image or framework)
    except InvalidInput as error:
        raise DeployError(error.message, hint=error.hint) from error


def _code(spec: ContainerSpec) -> _Content:
    """A class of the user's own, with its neighbours, which it may import; and nothing else."""
    code = user_code(spec.deployment)
    if code is None:  # the framework's image has its class
        return _Content(options_of(spec.deployment, None), {})
    check_readable(iter((code.file,)), USER_ID, code.file)
    place = Code(Path(CODE_DIR, code.file.name), code.class_name)
    told = options_of(spec.deployment, place)
    if spec.deployment.framework == PYTHON:
        told["CLIPPER_CONTAINER_TARGET"] = str(place)
    return _Content(told, {f"{CODE_DIR}/{path.name}": path for path in _neighbours(code)})


def _neighbours(code: Code) -> list[Path]:
    try:
        return list(neighbours(code.file))
    except OSError as error:
        raise DeployError(
            f"the files beside {code.file} cannot be listed: {error.strerror}",
            hint="Let the daemon's user read the folder.",
        ) from error


def _model(spec: ContainerSpec) -> _Content:
    model = saved_model(spec.deployment)
    if model is None:
        return _Content({}, {})
    check_readable(tree(model), USER_ID, model)
    place = MODEL_DIR if model.is_dir() else f"{MODEL_DIR}/{model.name}"
    return _Content({"CLIPPER_CONTAINER_MODEL_DATA": place}, {place: model})
