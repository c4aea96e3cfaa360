"""The linear model as a container in each language: one contract, and one saved model for all."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from clipper_container import model_pb2
from clipper_container.model_pb2 import Batch, Shape

from tests.fakes.needs import missing
from tests.fakes.sdk_process import MODELS, Client, Program
from tests.fakes.wire import batch_of, values_of

Start = Callable[..., Awaitable[Program]]
"""Starts one with these settings."""
LANGUAGES = ("python", "cpp", "go")
BUILT = Path(__file__).parents[2] / "build" / "containers"


def command_of(language: str) -> Sequence[str]:
    """What starts the container, which finds the rest in its environment."""
    if language == "python":
        return (sys.executable, "-m", "clipper_container", f"{MODELS}:Linear")
    return (str(binary_of(language)),)


def binary_of(language: str) -> Path:
    """The container as a program; skips the test where it has not been built."""
    program = BUILT / language / "container"
    if not program.exists():
        missing(language, f"`make containers` has not built {program}")
    return program


def save_linear(estimator: Any, path: Path) -> None:
    """Write a fitted linear or logistic regression as all three read it."""
    kind = "logistic" if hasattr(estimator, "classes_") else "linear"
    rows = np.column_stack([np.atleast_1d(estimator.intercept_), np.atleast_2d(estimator.coef_)])
    np.savetxt(path, rows, header=kind, comments="")
    path.chmod(0o644)


async def sums(client: Client) -> bool:
    """Whether a container without a saved model does what it is to do."""
    result = await client.ask(batch_of([[1, 2]], batch_id=77))
    return (result.id, values_of(result.outputs)) == (77, [3.0])


def large(size_bytes: int) -> Batch:
    """One number an input; the outputs are twice as large."""
    numbers = np.arange(size_bytes // 4, dtype=np.float32)
    batch = Batch(id=1, input_type=model_pb2.FLOATS, size=len(numbers), shapes=[Shape()])
    batch.data = numbers.tobytes()
    return batch
