"""Cascades: the cheap model first, and a dearer one only where the cheap one is not sure.

Wang, Luo, Crankshaw, Tumanov, Yu and Gonzalez, "IDK Cascades: Fast Deep Learning by Learning not to
Overthink" (UAI 2018): each model but the last says "I don't know" where a score of its output (its
entropy, or how improbable its best class is) is above a threshold. `fit` finds thresholds on data
that no model was trained on; feedback checks them ever after: where answers that a cheap model was
sure of turn out wrong more often than was agreed, the cascade asks the last model always.

What a cheap model was not sure of says nothing about its threshold, and neither does a query that
it left without an output: they are not counted. Other thresholds are another agreement, and begin
with nothing learned.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from clipper.core.errors import InvalidInput
from clipper.core.types import ModelId, Output
from clipper.selection.arms import ArmsState, Bandit
from clipper.selection.combining import best_class, is_number, is_vector
from clipper.selection.comparing import sample
from clipper.selection.policy import (
    NOTHING_USUAL,
    UNTRIED,
    Combination,
    Lesson,
    State,
    Tally,
)

FORGETTING = 0.001


def entropy(chances: Sequence[float]) -> float:
    """Of a distribution, in nats; at most the logarithm of the number of classes."""
    return -sum(chance * math.log(chance) for chance in chances if chance > 0)


def doubt(chances: Sequence[float]) -> float:
    """How improbable the best class is."""
    return 1 - max(chances)


SCORES: dict[str, Callable[[Sequence[float]], float]] = {"entropy": entropy, "top": doubt}
"""How unsure an output is; the more, the larger."""


def chances_of(value: Any) -> list[float] | None:
    """An output as the probability of each class; None where it is no such thing.

    A number from 0 to 1 is the probability of the second of two classes.
    """
    if is_number(value) and 0 <= value <= 1:
        return [1 - value, float(value)]
    if not (isinstance(value, list) and value and is_vector(value)) or min(value) < 0:
        return None
    total = sum(value)
    return [number / total for number in value] if total > 0 else None


class CascadeState(ArmsState, frozen=True):
    """How answers turned out, by the model version that gave them (`name:version`).

    Of a model that has a threshold, those that it was sure of; of the last one, all.
    """

    is_off: bool = False
    """Feedback has shown that cheap models are sure too often."""
    reason: str = ""
    about: str = ""
    """The parameters that were checked."""


class Cascade(Bandit):
    """Asks the models in order, until one is sure.

    `thresholds` has one score for each model but the last; where there is none, the last is asked
    always. `tolerance` is the loss that a cheap
    model's sure answers may have on average; once it is surely more, the last model answers all.
    """

    name = "cascade"
    state_type: type[Any] | None = CascadeState
    is_shared = True
    escalates = True
    asks_all = True
    """It is told of all, since a threshold's place is among them; where one has no replica, the
    next is asked at once."""

    def __init__(
        self,
        models: Sequence[str] = (),
        thresholds: Sequence[float] = (),
        score: str = "entropy",
        tolerance: float = 1.0,
        forgetting: float = FORGETTING,
    ) -> None:
        """`models`: names, or `name:version`, cheapest first; as they were linked if left out."""
        super().__init__(forgetting)
        _check_models(models)
        if score not in SCORES:
            raise InvalidInput(
                f"cascade got score={score}", hint=f"Choose one of: {', '.join(SCORES)}."
            )
        if not (isinstance(thresholds, list | tuple) and is_vector(list(thresholds))):
            raise InvalidInput(
                f"cascade got thresholds={thresholds}",
                hint="thresholds is a list of numbers, one for each model but the last.",
            )
        if models and len(thresholds) != len(models) - 1:
            raise InvalidInput(
                f"cascade got {len(thresholds)} thresholds for {len(models)} models",
                hint="There is one for each model but the last; `fit-cascade` finds them.",
            )
        if not (is_number(tolerance) and 0 <= tolerance <= 1):
            raise InvalidInput(
                f"cascade got tolerance={tolerance}", hint="tolerance is a number from 0 to 1."
            )
        self.order = list(models)
        self.thresholds = list(thresholds)
        self.score = score
        self.tolerance = tolerance
        self.candidates = [name for name in models if ":" in name]
        self.about = json.dumps(
            {
                "models": self.order,
                "thresholds": [float(threshold) for threshold in thresholds],
                "score": score,
                "tolerance": float(tolerance),
            }
        )

    def init(self) -> CascadeState:
        """Nothing is known of any answer."""
        return CascadeState(about=self.about)

    def current(self, state: State) -> CascadeState:
        """What is known under these parameters: nothing, where others were checked."""
        assert isinstance(state, CascadeState)
        return state if state.about == self.about else self.init()

    def shares(self, state: State, models: Sequence[ModelId]) -> list[float]:
        """All for the one that is asked first."""
        ordered = self._ordered(models)
        is_off = self.current(state).is_off
        first = ordered[0] if self.thresholds and not is_off else ordered[-1]
        return [float(model == first) for model in models]

    def escalate(
        self,
        state: State,
        models: Sequence[ModelId],
        asked: Sequence[ModelId],
        outputs: Mapping[ModelId, Output],
    ) -> ModelId | None:
        """The next model, unless the last one that was asked is sure.

        Where the dearest was asked first, and nobody has answered, the one before: the answer of a
        cheap model is better than none.
        """
        ordered = self._ordered(models)
        if asked[-1] not in ordered:
            return None
        output = outputs.get(asked[-1])
        if output is not None and self.is_sure(self._place(asked[-1], ordered), output):
            return None
        if asked[0] != ordered[-1]:
            left = ordered[ordered.index(asked[-1]) + 1 :]
            return left[0] if left else None
        unasked = [model for model in ordered if model not in asked]
        return unasked[-1] if unasked and not outputs else None

    def is_sure(self, place: int, output: Output) -> bool:
        """Whether the answer of the model in that place stands; without probabilities, never."""
        chances = chances_of(output.value)
        if chances is None or place >= len(self.thresholds):
            return False
        threshold: float = self.thresholds[place]
        return SCORES[self.score](chances) <= threshold

    def combine(
        self,
        state: State,
        models: Sequence[ModelId],
        outputs: Mapping[ModelId, Output],
        usual: Mapping[ModelId, Output] = NOTHING_USUAL,
    ) -> Combination:
        """The output of the dearest that has answered; how probable its best class is."""
        output = list(outputs.values())[-1]
        chances = chances_of(output.value)
        return output, 1.0 if chances is None else chances[best_class(chances)]

    def observe(self, state: State, models: Sequence[ModelId], lesson: Lesson) -> CascadeState:
        """Remember how a cheap model's sure answer turned out, and check what was agreed."""
        known, ordered = self.current(state), self._ordered(models)
        answered = [model for model in lesson.selection.models if model in lesson.outputs]
        if not answered or answered[-1] not in ordered:
            return known
        final = answered[-1]
        place = self._place(final, ordered)
        if place < len(self.thresholds) and not self.is_sure(place, lesson.outputs[final]):
            return known  # it stood because nobody else answered
        judged = lesson._replace(losses={final: lesson.losses[final]})
        after = msgspec.structs.replace(known, arms=self.taught(known, models, judged))
        if after.is_off or final == ordered[-1]:
            return after
        loss = sample(after.arms.get(str(final), UNTRIED)).interval()
        if loss.low <= self.tolerance:
            return after
        reason = f"the sure answers of {final} have a loss of {loss.low:.3f} or more"
        return msgspec.structs.replace(after, is_off=True, reason=reason)

    def _ordered(self, models: Sequence[ModelId]) -> list[ModelId]:
        """Those that are there, cheapest first."""
        places = {model: place for model in models if (place := self._named(model)) is not None}
        return sorted(places, key=places.__getitem__) or list(models)

    def _named(self, model: ModelId) -> int | None:
        """Its place in the order; a version that has its own is not meant by the name alone."""
        for name in (str(model), model.name):
            if name in self.order:
                return self.order.index(name)
        return None

    def _place(self, model: ModelId, ordered: Sequence[ModelId]) -> int:
        """Where it stands among all, whether those are there or not."""
        place = self._named(model)
        return ordered.index(model) if place is None else place

    def tally(self, state: State, model: ModelId) -> Tally:
        """Of the answers that it was sure of; of the last model, all."""
        return self.current(state).arms.get(str(model), UNTRIED)


def _check_models(models: Sequence[str]) -> None:
    """Whether these are models that can follow each other, or none.

    Raises:
        InvalidInput: they are not.
    """
    is_list = isinstance(models, list | tuple) and all(isinstance(name, str) for name in models)
    if not is_list:
        raise InvalidInput(
            f"cascade got models={models}", hint="models is a list of names, cheapest first."
        )
    if len(set(models)) < len(models):
        raise InvalidInput(
            f"cascade got models={list(models)}, where one is named twice",
            hint="Name each model once, cheapest first.",
        )
    if len(models) == 1:
        raise InvalidInput(
            f"cascade got models={list(models)}, which is only one",
            hint="Name two models or more, cheapest first.",
        )
