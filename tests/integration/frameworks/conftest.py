"""A framework's saved model as a container of its own, asked as the daemon asks it."""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipper_container import loading
from clipper_container.input_types import INPUT_TYPES, agreed
from clipper_container.model_pb2 import BatchResult, Description
from clipper_container.options import read_options

from tests.fakes.sdk_process import Client, Program
from tests.fakes.wire import batch_of, values_of

CONTAINERS = Path(__file__).parents[3] / "containers"


@dataclass(frozen=True, slots=True)
class Served:
    """A model that serves."""

    client: Client
    description: Description

    async def result(self, inputs: Any, input_type: str = "floats") -> BatchResult:
        """What becomes of a batch."""
        return await self.client.ask(batch_of(inputs, INPUT_TYPES[input_type]))

    async def predict(self, inputs: Any, input_type: str = "floats") -> Any:
        """The outputs of a batch, which must not fail."""
        result = await self.result(inputs, input_type)
        assert not result.HasField("error"), result.error
        return values_of(result.outputs)


def target_of(framework: str) -> str:
    """The class of a framework as a container is told of it."""
    return f"{CONTAINERS / framework / framework}_container.py:{framework.title()}Container"


Serve = Callable[..., Awaitable[Served]]
Refuse = Callable[..., Awaitable[str]]
Load = Callable[..., Any]


@pytest.fixture
async def serve(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serve]:
    """Serve a framework's saved model: `serve("onnx", path, output="label")`."""
    async with AsyncExitStack() as stack:

        async def start(
            framework: str, model: Path, input_type: str = "any", **options: str
        ) -> Served:
            program = await _start(tmp_path_factory, framework, model, input_type, options)
            stack.push_async_callback(program.ended)
            stack.callback(program.kill)
            client = await stack.enter_async_context(Client(await program.ready()))
            return Served(client, await client.describe())

        yield start


@pytest.fixture
async def refuse(tmp_path_factory: pytest.TempPathFactory) -> Refuse:
    """Start a model that cannot be served: gives its one line, after exit code 1."""

    async def start(framework: str, model: Path, input_type: str = "any", **options: str) -> str:
        program = await _start(tmp_path_factory, framework, model, input_type, options)
        code, output = await program.ended()
        assert code == 1, output
        assert "Traceback" not in output
        return output

    return start


async def _start(
    folders: pytest.TempPathFactory,
    framework: str,
    model: Path,
    input_type: str,
    options: dict[str, str],
) -> Program:
    environment = {f"CLIPPER_CONTAINER_{name.upper()}": text for name, text in options.items()}
    return await Program.start(
        folders.mktemp("container"),
        target_of(framework),
        *("--model-data", str(model), "--input-type", input_type),
        OMP_NUM_THREADS="1",
        **environment,
    )


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load and warm up a model as a container does, but here: for what needs no process."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(sys, "path", list(sys.path))

    def start(framework: str, model: Path, input_type: str = "any", **options: str) -> Any:
        for name in ("CODE", "OUTPUT"):
            monkeypatch.setenv(f"CLIPPER_CONTAINER_{name}", options.get(name.lower(), ""))
        loaded = loading.load(target_of(framework), str(model), read_options(os.environ))
        agreed(loaded, INPUT_TYPES[input_type])
        loading.warm_up(loaded)
        return loaded

    return start


@pytest.fixture
def table() -> tuple[Any, Any]:
    """Something to learn: float64[120, 4], and which of three classes each row is of."""
    features = np.random.default_rng(7).normal(size=(120, 4))
    return features, (features[:, 0] > 0).astype(int) + (features[:, 1] > 0)
