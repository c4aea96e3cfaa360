"""From a deployment to a process: which packages, which program, and all that it gets to see."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

from clipper.core.errors import DeployError
from clipper.core.requirements import check_requirements
from clipper.core.types import Deployment
from clipper.deploy.frameworks import EXECUTABLE, FRAMEWORKS, Framework
from clipper.deploy.manager import ContainerSpec
from clipper.deploy.process.interpreter import CPU, Interpreter
from clipper.deploy.program import (
    ONE_THREAD,
    Code,
    containers_dir,
    executable,
    options_of,
    saved_model,
    target_of,
    user_code,
)

SDK = "clipper-container"
EVERY_GPU = "all"
OF_DOCKER = ("image", "network", "cpus")


@dataclass(frozen=True, slots=True)
class Program:
    """What a replica runs, and what it needs for it."""

    code: Code | Path
    """A class for the SDK, or a program that needs none."""
    options: dict[str, str]
    """What it is told of its model, as variables."""
    model: Path | None
    packages: tuple[str, ...]
    """Of an environment of its own; none are needed where the manager's interpreter will do."""


def program_of(spec: ContainerSpec, interpreter: Interpreter) -> Program:
    """What to run; reads the disk.

    Raises:
        DeployError: something of it does not exist, or is Docker's to give.
        InvalidInput: a requirement is none.
    """
    deployment = spec.deployment
    if asked := [name for name in OF_DOCKER if getattr(deployment, name)]:
        raise DeployError(
            f"{spec.replica} asks for {', '.join(asked)}, which only Docker containers have",
            hint="Deploy it with the manager docker, or without that.",
        )
    model = saved_model(deployment)
    if deployment.framework == EXECUTABLE:
        if deployment.requirements:
            raise DeployError(
                f"{spec.replica} is a program of its own, and asks for Python's packages",
                hint="Deploy it without requirements.",
            )
        return Program(executable(deployment), options_of(deployment, None), model, ())
    packages = packages_of(deployment, interpreter)
    options = options_of(deployment, user_code(deployment))
    return Program(target_of(deployment), options, model, packages)


def packages_of(deployment: Deployment, interpreter: Interpreter) -> tuple[str, ...]:
    """The requirements of its environment: the SDK's, the framework's and the model's own.

    None where the manager's interpreter has all that it needs.

    Raises:
        InvalidInput: a requirement is none.
    """
    own = check_requirements(deployment.requirements)
    framework = FRAMEWORKS.get(deployment.framework)
    can_import = framework is None or framework.name in interpreter.frameworks
    if can_import and all(map(interpreter.has, own)):
        return ()
    # The SDK's code comes by PYTHONPATH; what it needs does not.
    theirs = check_requirements([*(requires(SDK) or ()), *_of(framework)])
    named = {wanted.name for wanted in map(Requirement, own) if _applies(wanted)}
    return (
        *(line for line in theirs if Requirement(line).name.removesuffix(CPU) not in named),
        *own,
    )


def _applies(wanted: Requirement) -> bool:
    """Whether pip would take it; one for another system or Python it passes over."""
    return wanted.marker is None or wanted.marker.evaluate()


def _of(framework: Framework | None) -> tuple[str, ...]:
    return () if framework is None else framework.requirements


def command_of(spec: ContainerSpec, python: Path, program: Program, socket: Path) -> list[str]:
    """The command line; a program of the user's own is told by variables alone, as in Docker."""
    if isinstance(program.code, Path):
        return [str(program.code)]
    name, version = spec.replica.model
    # -P: the working directory is no place to import from.
    words = [str(python), "-P", "-m", "clipper_container", str(program.code)]
    words += ["--listen", f"unix:{socket}", "--input-type", spec.accepted]
    words += ["--name", name, "--version", version]
    return words + (["--model-data", str(program.model)] if program.model else [])


def settings_of(spec: ContainerSpec, program: Program, socket: Path) -> dict[str, str]:
    """What a program of the user's own is told of its replica; a class has it as arguments."""
    if not isinstance(program.code, Path):
        return {}
    settings = {
        "LISTEN": f"unix:{socket}",
        "INPUT_TYPE": spec.accepted,
        "NAME": spec.replica.model.name,
        "VERSION": spec.replica.model.version,
        "MODEL_DATA": str(program.model or ""),
    }
    return {f"CLIPPER_CONTAINER_{name}": text for name, text in settings.items() if text}


def variables_of(spec: ContainerSpec, python: Path, spare_home: Path) -> dict[str, str]:
    """All that a model sees of ours: nothing is inherited, least of all the daemon's tokens."""
    return {
        **plain_variables(python, spare_home),
        "PYTHONPATH": str(containers_dir() / "python"),
        "PYTHONUNBUFFERED": "1",
        **ONE_THREAD,
        **gpu_variables(spec.deployment.gpus_of(spec.replica.index)),
    }


def plain_variables(python: Path, spare_home: Path) -> dict[str, str]:
    """What any interpreter may count on; a user without a home gets the spare one."""
    try:
        home = Path.home()
    except RuntimeError:
        home = spare_home
    path = f"{python.parent}:/usr/local/bin:{os.defpath}"
    return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8"}


def gpu_variables(chosen: str) -> Mapping[str, str]:
    """Which GPUs CUDA shows to a replica; where nothing is said, all of them."""
    if chosen in ("", EVERY_GPU):
        return {}
    # By default, CUDA counts from the fastest; nvidia-smi and Docker go by the bus.
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": chosen}
