"""From a deployment to what a container is told: which class to load, and with which saved model.

A framework is a folder of `containers/` that holds `<framework>_container.py`; `python` is the
framework of models that bring their own class. Everything is checked here, before anything is
started. Model code is never loaded: it runs in the container only.
"""

import re
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import clipper
from clipper.core.errors import DeployError
from clipper.core.types import Deployment

PYTHON = "python"
WITHOUT_MODEL = frozenset({"noop"})
"""Frameworks that load nothing, so that any path will do."""

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


def is_class(path: str) -> bool:
    """Whether it names a class in a Python file, by its form."""
    file, separator, name = path.rpartition(":")
    return bool(separator) and file.endswith(".py") and name.isidentifier()


def user_code(deployment: Deployment) -> Code | None:
    """The class that a `python` deployment brings; None for every other framework.

    Raises:
        DeployError: its path does not name a class in a file that exists.
    """
    if deployment.framework != PYTHON:
        return None
    file, separator, class_name = deployment.path.rpartition(":")
    if not separator or not file.endswith(".py") or not class_name.isidentifier():
        raise DeployError(
            f"path {deployment.path!r} does not name a class in a Python file",
            hint="A python model's path is file.py:ClassName.",
        )
    return Code(existing_path(file, "the model's file"), class_name)


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


def saved_model(deployment: Deployment) -> Path | None:
    """The file or folder that the class is to load, or None where there is nothing to load.

    Raises:
        DeployError: it does not exist, or the framework needs one and none is named.
    """
    if deployment.framework == PYTHON:
        data = deployment.model_data
        return existing_path(data, "model_data") if data else None
    if deployment.framework in WITHOUT_MODEL:
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
