"""What a deployment leaves unsaid, framework and packages, by the looks of its model."""

import re
from dataclasses import replace
from pathlib import Path

from clipper.core.types import Deployment
from clipper.deploy.frameworks import CODE, detect
from clipper.deploy.program import PYTHON, existing_path
from clipper.deploy.requirement_files import requirements_of

MLFLOW = re.compile(r"mlflow(?=\s*([=<>!~;]|$))")
MLFLOW_LIGHT = "mlflow-skinny"
"""The part of MLflow that loads and predicts; all of it, which its folders ask for, is a server."""
IMAGE = "image"
"""The framework of an image that brings its own."""


def completed(deployment: Deployment, finds_requirements: bool) -> Deployment:
    """The deployment with a framework, and with the packages that its model's folder names.

    Looks at names and first bytes only, on the disk.

    Raises:
        DeployError: there is nothing at its path, or nothing that is known.
    """
    framework = deployment.framework or _framework(deployment)
    requirements = deployment.requirements
    if finds_requirements and not requirements:
        requirements = _requirements(deployment, framework)
    return replace(deployment, framework=framework, requirements=requirements)


def _framework(deployment: Deployment) -> str:
    path = deployment.path
    if deployment.image and not path:
        return IMAGE
    return PYTHON if CODE.fullmatch(path) else detect(existing_path(path, "the model"))


def _requirements(deployment: Deployment, framework: str) -> tuple[str, ...]:
    """The folder of a class is its project; beside a lone saved model there may be any files."""
    path, data = deployment.path, deployment.model_data
    places = (str(Path(path).parent), data) if CODE.fullmatch(path) else (path,)
    found = next(filter(None, (requirements_of(Path(one)) for one in places if one)), ())
    return (
        tuple(MLFLOW.sub(MLFLOW_LIGHT, line) for line in found) if framework == "mlflow" else found
    )
