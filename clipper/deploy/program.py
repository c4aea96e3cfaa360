"""From a deployment to what a container is told: which class to load, and with which saved model.

A framework is a folder of `containers/` that holds `<framework>_container.py`; `python` is the
framework of models that bring their own class and nothing else. Those of other frameworks may bring
one as well, where the saved model is weights. `executable` is a program in whatever language, which
speaks the protocol itself. Everything is checked here, before anything is started. Model code is
never loaded: it runs in the container only.
"""

import os
import re
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import clipper
from clipper.core.errors import DeployError
from clipper.core.types import Deployment
from clipper.deploy.frameworks import CODE, EXECUTABLE, FRAMEWORKS

PYTHON = "python"

# Replicas are how a model gets more cores; a thread pool in each would only make them fight.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class Code:
    """A class in a file that exists."""

    file: Path
    class_name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.class_name}"


def containers_dir() -> Path:
    """Where the frameworks are: beside the package in a source tree, else where pip put them."""
    source = Path(clipper.__file__).parent.parent / "containers"
    if (source / PYTHON).is_dir():
        return source
    return Path(sysconfig.get_path("data"), "share", "clipper", "containers")


def user_code(deployment: Deployment) -> Code | None:
    """The class that a deployment brings, as every `python` one does; None where it brings none.

    Raises:
        DeployError: its path does not name a class in a file that exists.
    """
    if CODE.fullmatch(deployment.path):
        file, _, class_name = deployment.path.rpartition(":")
        return Code(existing_path(file, "the model's file"), class_name)
    if deployment.framework != PYTHON or (not deployment.path and deployment.image):
        return None  # an image of the user's own may hold its class
    raise DeployError(
        f"path {deployment.path!r} does not name a class in a Python file",
        hint="A python model's path is file.py:ClassName.",
    )


def executable(deployment: Deployment) -> Path:
    """The program that is the model.

    Raises:
        DeployError: it does not exist, or cannot be run.
    """
    program = existing_path(deployment.path, "the program")
    if not program.is_file() or not os.access(program, os.X_OK):
        raise DeployError(
            f"the program {deployment.path!r} cannot be run",
            hint="Give a file that may be executed (chmod +x).",
        )
    return program


def framework_code(framework: str, containers: Path) -> Code:
    """The class that serves a framework's saved models.

    Raises:
        DeployError: there is no such framework.
    """
    file = containers / framework / f"{framework}_container.py"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", framework) or not file.is_file():
        known = sorted(
            [PYTHON, *(path.parent.name for path in containers.glob("*/*_container.py"))]
        )
        raise DeployError(
            f"there is no framework {framework!r} in {containers}",
            hint=f"Choose one of: {', '.join(known)}.",
        )
    return Code(file, f"{framework.title().replace('_', '')}Container")


def target_of(deployment: Deployment) -> Code:
    """The class that a container is to run: a `python` deployment's own, else its framework's.

    Raises:
        DeployError: there is none.
    """
    code = user_code(deployment) if deployment.framework == PYTHON else None
    return code or framework_code(deployment.framework, containers_dir())


def options_of(deployment: Deployment, code: Code | None) -> dict[str, str]:
    """What a container is told beyond the class that it runs and the model's place: variables."""
    beside = code if deployment.framework != PYTHON else None
    options = {"OUTPUT": deployment.output, "CODE": str(beside or "")}
    return {f"CLIPPER_CONTAINER_{name}": text for name, text in options.items() if text}


def saved_model(deployment: Deployment) -> Path | None:
    """The file or folder that the class is to load, or None where there is nothing to load.

    Raises:
        DeployError: it does not exist, or the framework needs one and none is named.
    """
    framework = FRAMEWORKS.get(deployment.framework)
    if deployment.framework in (PYTHON, EXECUTABLE) or CODE.fullmatch(deployment.path):
        data = deployment.model_data
        return existing_path(data, "model_data") if data else None
    if framework is not None and not framework.needs_model:
        return None
    if not deployment.path and deployment.image:
        return None  # an image of the user's own may hold its model
    return existing_path(deployment.path, f"the saved {deployment.framework} model")


def existing_path(path: str, what: str) -> Path:
    """The real, absolute path of something that is there.

    Raises:
        DeployError: nothing is.
    """
    try:
        return Path(path or "(empty)").resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:  # also a loop of links, and a NUL
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DeployError(
            f"{what} {path!r} cannot be found: {reason}",
            hint="Give an absolute path on the machine that the daemon runs on.",
        ) from error
