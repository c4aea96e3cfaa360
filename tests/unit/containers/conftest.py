"""Loading model code leaves traces in the interpreter; here they end with the test."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from clipper_container.loading import import_file

CONTAINERS = Path(__file__).parents[3] / "containers"


@pytest.fixture
def clean_imports() -> Iterator[None]:
    """Forget what was imported meanwhile."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if "." not in name:  # ours are; parts of packages may hold state
            del sys.modules[name]


@pytest.fixture
def framework(clean_imports: None) -> Callable[[str], ModuleType]:
    """The container module of a framework, as a container loads it."""
    return lambda name: import_file(CONTAINERS / name / f"{name}_container.py")
