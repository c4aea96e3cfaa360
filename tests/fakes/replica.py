"""Replicas in virtual time: models that take as long, and fail, as the test says."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clipper.core.errors import ModelFailed, ReplicaFailed
from clipper.core.outputs import parse_text
from clipper.core.types import (
    BatchOutputs,
    Description,
    Input,
    InputType,
    ModelId,
    Output,
    ReplicaId,
)

REPLICA = ReplicaId(ModelId("m", "1"), 0)


def echo(input: Input) -> Output:
    """The model that answers with what it was sent."""
    return parse_text(input.data)


@dataclass
class Behaviour:
    """How a model behaves; may be changed while it runs."""

    fixed_s: float = 0.01
    """A batch takes this long,"""
    per_input_s: float = 0.0
    """and this much longer for each input."""
    loading_s: float = 0.0
    refusal: str = ""
    """Why nobody can connect to it."""
    answer: Callable[[Input], Output] = echo
    poison: set[bytes] = field(default_factory=set)
    """Inputs on which the model raises."""
    lethal: set[bytes] = field(default_factory=set)
    """Inputs that end the replica."""
    description: Description = field(default_factory=Description)
    hangs: bool = False
    """Batches are never answered."""


class FakeReplica:
    """One life of a replica, its connection included; serves one batch at a time."""

    def __init__(self, behaviour: Behaviour | None = None, id: ReplicaId = REPLICA) -> None:
        self.id = id
        self.input_type: InputType | None = InputType.FLOATS
        self.description = Description()
        self.behaviour = behaviour or Behaviour()
        self.batches: list[list[bytes]] = []
        """Every batch that reached the model."""
        self.is_connected = False
        self._is_busy = False
        self._is_dead = False
        self._break: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        """Return when the model is loaded."""
        await asyncio.sleep(self.behaviour.loading_s)
        if self.behaviour.refusal:
            raise ReplicaFailed(f"{self.id} {self.behaviour.refusal}")
        self.description = self.behaviour.description
        self.is_connected = True

    async def broken(self) -> None:
        """Raise when the connection breaks."""
        await asyncio.shield(self._break)

    def break_off(self) -> None:
        """The connection breaks, whatever the replica does."""
        self._is_dead = True
        self._break.set_exception(self._broken())

    def _broken(self) -> ReplicaFailed:
        return ReplicaFailed(f"{self.id} broke off its stream.")

    async def close(self) -> None:
        """Let go of it."""
        self.is_connected = False
        self._break.cancel()

    async def predict(self, inputs: Sequence[Input]) -> BatchOutputs:
        """Take the time, then answer, raise or break off."""
        assert not self._is_busy, "two batches at once"
        self._is_busy = True
        try:
            return await self._predict(inputs)
        finally:
            self._is_busy = False

    async def _predict(self, inputs: Sequence[Input]) -> BatchOutputs:
        behaviour = self.behaviour
        data = [item.data for item in inputs]
        self.batches.append(data)
        if behaviour.hangs:
            await asyncio.Event().wait()
        took_s = behaviour.fixed_s + behaviour.per_input_s * len(data)
        await asyncio.sleep(took_s)
        if self._is_dead or behaviour.lethal.intersection(data):
            self._is_dead = True
            raise self._broken()
        if bad := behaviour.poison.intersection(data):
            raise ModelFailed(f"ValueError: {min(bad)!r}")
        return BatchOutputs([behaviour.answer(item) for item in inputs], took_s)


class Replicas:
    """A connector that makes fakes, and remembers them; one behaviour for each model."""

    def __init__(self) -> None:
        self.behaviours: dict[ModelId, Behaviour] = {}
        self.lives: list[FakeReplica] = []
        """Oldest first."""

    def behaviour(self, model: ModelId) -> Behaviour:
        """How this model behaves."""
        return self.behaviours.setdefault(model, Behaviour())

    def connect(
        self, replica: ReplicaId, input_type: InputType | None, address: str, token: str
    ) -> FakeReplica:
        """A link that is not connected yet."""
        life = FakeReplica(self.behaviour(replica.model), replica)
        life.input_type = input_type
        self.lives.append(life)
        return life

    def batches(self, model: ModelId) -> list[list[bytes]]:
        """Every batch that reached any replica of a model."""
        return [batch for life in self.lives if life.id.model == model for batch in life.batches]
