"""What a log of decisions tells, and how probable the logging policy made each model, asked or not.

A log says how probable its choice was. To replay another policy one has to know that of every other
model as well, and before one looks at who was asked. Two guesses are made for each decision: what
the logging policy itself says when it is taught all that was logged before, which is exact where
the log is whole and feedback comes at once; and how probable each model was when it was last asked.
Whichever was nearer to the log until then is believed.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from clipper.core.errors import InvalidInput
from clipper.core.types import DEFAULT_CONTEXT, ModelId, Output
from clipper.selection.policies import make_policy
from clipper.selection.policy import Lesson, Selection, SelectionPolicy, State, Traffic

KEPT = 0.99
"""Of what is known of a guess's errors, after each decision."""
MOST_ERROR = 1.0
"""That of one decision, as the logarithm of a ratio."""


class By(NamedTuple):
    """The policy that an application had, and its loss."""

    name: str
    params: str
    """An object, as JSON."""
    loss: str

    def make(self) -> SelectionPolicy | None:
        """The policy, where this process has it."""
        try:
            return make_policy(self.name, json.loads(self.params), self.loss)
        except InvalidInput:
            return None


class Logged(NamedTuple):
    """One decision, and what became of it."""

    context: str
    linked: tuple[ModelId, ...]
    selection: Selection
    outputs: Mapping[ModelId, Output]
    label: object
    losses: Mapping[ModelId, float]
    by: By

    @property
    def is_whole(self) -> bool:
        """Whether it tells the loss of every model that there was."""
        return all(model in self.losses for model in self.linked)


class Watched(NamedTuple):
    """What became of the queries since the last time, as a policy that watches is told."""

    linked: tuple[ModelId, ...]
    traffic: Mapping[ModelId, Traffic]
    by: By


@dataclass(slots=True)
class _Memory:
    """What is known of one state of the logging policy."""

    state: State
    asked: dict[ModelId, float] = field(default_factory=dict)
    """How probable each model was when it was last asked."""
    errors: tuple[float, float] = (0.0, 0.0)
    """Of the policy that is taught anew, and of what was last logged."""


class Logger:
    """Whoever took the decisions, as far as the log shows it."""

    def __init__(self) -> None:
        self._policies: dict[By, SelectionPolicy | None] = {}
        self._memories: dict[tuple[By, str], _Memory] = {}

    def policy(self, by: By) -> SelectionPolicy | None:
        """The policy that logged; None where this process does not have it."""
        if by not in self._policies:
            self._policies[by] = by.make()
        return self._policies[by]

    def follow(self, logged: Logged) -> Sequence[float]:
        """How probable each linked model was to be asked (first), by what was logged before."""
        policy, memory = self.policy(logged.by), self._memory(logged.by, logged.context)
        linked, asked = logged.linked, logged.selection.models[0]
        last = [memory.asked.get(model, 0.0) for model in linked]
        taught = last if policy is None else policy.shares(memory.state, linked)
        is_nearer = memory.errors[0] <= memory.errors[1]
        if asked in linked:
            place, propensity = linked.index(asked), logged.selection.propensity
            memory.errors = (
                memory.errors[0] * KEPT + _error(taught[place], propensity),
                memory.errors[1] * KEPT + _error(last[place], propensity),
            )
            memory.asked[asked] = propensity
        if policy is not None:
            lesson = Lesson(logged.selection, logged.losses, logged.outputs, logged.label)
            memory.state = policy.observe(memory.state, linked, lesson)
        return taught if is_nearer else last

    def watch(self, watched: Watched) -> None:
        """The logging policy was told of its traffic."""
        policy = self.policy(watched.by)
        if policy is not None and policy.watches:
            memory = self._memory(watched.by, DEFAULT_CONTEXT)
            memory.state = policy.watch(memory.state, watched.linked, watched.traffic)

    def _memory(self, by: By, context: str) -> _Memory:
        policy = self.policy(by)
        key = by, "" if policy is None or policy.is_shared else context
        if key not in self._memories:
            self._memories[key] = _Memory(None if policy is None else policy.init())
        return self._memories[key]


def _error(guess: float, truth: float) -> float:
    return min(abs(math.log(guess / truth)), MOST_ERROR) if guess > 0 else MOST_ERROR
