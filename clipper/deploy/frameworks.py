"""The frameworks whose saved models are served, one row each: what they need and how they look.

A framework's class is in `containers/<name>/<name>_container.py`; it and the framework itself are
imported in the container only. Nothing here does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Framework:
    """One row."""

    name: str
    title: str
    """As people write it: `scikit-learn`."""
    requirements: tuple[str, ...] = ()
    """What its class imports, as pip has it."""
    modules: tuple[str, ...] = ()
    """The packages of those, as Python imports them."""
    suffixes: tuple[str, ...] = ()
    """How the names of its saved models end."""
    markers: tuple[str, ...] = ()
    """A folder that holds a file of this name is one of its saved models."""
    needs_model: bool = True
    """Whether its class loads something."""


_ROWS = (
    Framework("python", "a class of your own", needs_model=False),
    Framework("noop", "a model that does nothing", needs_model=False),
    Framework(
        "sklearn",
        "scikit-learn",
        requirements=("scikit-learn>=1.0", "joblib>=1.0"),
        modules=("sklearn", "joblib"),
        suffixes=(".joblib", ".pkl"),
    ),
)

FRAMEWORKS: Mapping[str, Framework] = {row.name: row for row in _ROWS}


def detect(path: Path) -> str:
    """The framework of a saved model."""
    return next((row.name for row in _ROWS if path.suffix in row.suffixes), "sklearn")


def requirements_of(path: Path) -> tuple[str, ...]:
    """The packages that a model's folder names."""
    file = path / "requirements.txt"
    lines = file.read_text().splitlines() if file.is_file() else ()
    return tuple(line for line in lines if line and not line.startswith("#"))
