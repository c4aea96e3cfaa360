"""What the benchmark knows of another serving system."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers.payload import Payload
from peers.work import Orders

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".venvs"


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to run a system; the better one of its settings counts."""

    name: str
    wait_ms: float = 0.0
    max_batch_size: int = 256
    batched: bool = True
    apart: bool = True
    """Whether the model has a process of its own."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A system in an environment of its own."""

    name: str
    settings: tuple[Setting, ...]
    command: Callable[[Orders, Path], list[str]]
    """From orders, and a scratch folder for its files, to what is to be run."""
    payload: Callable[[str, Setting], Payload]
    """From a model's name to requests."""
    output: Callable[[Any], float]
    """From a JSON answer to the number in it."""
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Its server and its pins."""
        return HERE / self.name

    @property
    def environment(self) -> Path:
        """Its virtual environment."""
        return ENVIRONMENTS / self.name

    @property
    def packages(self) -> Path:
        """Where its packages are installed."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.environment / "lib" / version / "site-packages"

    def program(self, name: str) -> str:
        """A program of its environment."""
        return str(self.environment / "bin" / name)

    def server(self) -> list[str]:
        """The command that runs its server file."""
        return [self.program("python"), str(self.folder / "server.py")]
