"""What a deployment says of its model beyond its place: read once, when the model is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "CLIPPER_CONTAINER_"


@dataclass(frozen=True, slots=True)
class Options:
    """Empty where the deployment leaves it to the model."""

    output: str = ""
    """Which of the model's outputs or methods answers."""
    code: str = ""
    """A class that comes with the saved model, as `file.py:Class`."""


def read_options(environment: Mapping[str, str]) -> Options:
    """From the variables that the manager sets."""
    return Options(
        output=environment.get(f"{PREFIX}OUTPUT", ""), code=environment.get(f"{PREFIX}CODE", "")
    )
