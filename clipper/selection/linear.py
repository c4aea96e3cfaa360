"""Weights that are fitted: the answer is a regression on the models' outputs, for each context.

Clipper's own name for it is f(x) . w_u: the models are features, and each user u has weights w_u.
Each lesson costs a number of steps that grows with the square of the number of models, since what
is kept is the inverse of the features' second moments, which one observation changes by a matrix of
rank one (recursive least squares; Haykin, "Adaptive Filter Theory", "The Exponentially Weighted
Recursive Least-Squares Algorithm").

* Numbers and vectors: ridge regression towards the label. The weights are drawn to the mean of the
  models, which is where a context begins.
* Labels and other JSON: logistic regression on votes. An answer that some model gave is scored by
  the weights of those who gave it, less the weights of those who gave another; the right one is to
  score above 0, the wrong ones below. (The second moments count each observation with its
  p (1 - p), as Newton's method does.)
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from clipper.core.errors import InvalidInput
from clipper.core.outputs import output_of
from clipper.core.types import ModelId, Output
from clipper.selection.combining import by_value, is_number, is_vector, key_of
from clipper.selection.parameters import LEAST, check_range
from clipper.selection.policy import (
    NOTHING_USUAL,
    Combination,
    Lesson,
    Selection,
    SelectionPolicy,
    State,
    Tally,
)

MOST_MOMENT = 1e6
"""Forgetting inflates the inverse where nothing is observed; beyond that it is held."""
MOST_SCORE = 30.0


class LinearState(msgspec.Struct, frozen=True):
    """What one context has learned."""

    models: list[str] = []
    """The model versions (`name:version`) in the order of the weights."""
    weights: list[float] = []
    inverse: list[list[float]] = []
    """Of the features' second moments."""
    arms: dict[str, Tally] = {}


class Linear(SelectionPolicy):
    """Asks all models, and fits their weights to the labels.

    `ridge` is how strongly weights are drawn to where they began, in observations; `forgetting` is
    the share of what was learned that each lesson lets go of.
    """

    name = "linear"
    state_type: type[Any] | None = LinearState
    averages = True
    asks_all = True

    def __init__(
        self, ridge: float = 1.0, forgetting: float = 0.001, loss: str = "zero_one"
    ) -> None:
        check_range(self.name, "ridge", ridge, LEAST, 1e6)
        check_range(self.name, "forgetting", forgetting, 0, 0.5)
        self.ridge = ridge
        self.forgetting = forgetting
        if loss == "given":
            raise InvalidInput(
                "linear cannot learn from the loss given",
                hint="It has to know what was true: choose the loss zero_one, squared or log.",
            )
        self.has_numbers = loss != "zero_one"
        """A number is an amount, and no label."""

    def init(self) -> LinearState:
        """The mean of all models."""
        return LinearState()

    def select(self, state: State, models: Sequence[ModelId], draw: float) -> Selection:
        """All of them."""
        return Selection(tuple(models), 1.0)

    def shares(self, state: LinearState, models: Sequence[ModelId]) -> list[float]:
        """The weights' sizes; some may be negative."""
        sizes = [abs(weight) for weight in self._fitted(state, models).weights]
        total = sum(sizes)
        return [size / total if total else 1 / len(models) for size in sizes]

    def combine(
        self,
        state: LinearState,
        models: Sequence[ModelId],
        outputs: Mapping[ModelId, Output],
        usual: Mapping[ModelId, Output] = NOTHING_USUAL,
    ) -> Combination:
        """The weighted sum of numbers or vectors, else the answer with the best score.

        The confidence of a sum is the share of the weights' sizes that has answered, that of an
        answer its probability to be right.
        """
        state = self._fitted(state, models)
        weights = dict(zip(models, state.weights, strict=True))
        rows = self._rows(outputs.values())
        if rows is None:
            groups = by_value(outputs)
            scored = {
                key: sum(weights[model] * (1 if model in names else -1) for model in outputs)
                for key, names in groups.items()
            }
            best = max(scored, key=scored.__getitem__)
            return outputs[groups[best][0]], _sigmoid(scored[best])
        values = dict(zip(outputs, rows, strict=True))
        for model, output in usual.items():
            row = self._rows([output])
            if row is not None and len(row[0]) == len(rows[0]):
                values[model] = row[0]
        sums = [
            sum(weights[model] * row[place] for model, row in values.items())
            for place in range(len(rows[0]))
        ]
        sizes = sum(map(abs, weights.values()))
        present = sum(abs(weights[model]) for model in outputs)
        is_vector_output = isinstance(next(iter(outputs.values())).value, list)
        return output_of(sums if is_vector_output else sums[0]), present / sizes if sizes else 0.0

    def observe(self, state: LinearState, models: Sequence[ModelId], lesson: Lesson) -> LinearState:
        """Fit the weights to the label."""
        if not models:
            return state
        state = self._fitted(state, models)
        weights, inverse = list(state.weights), [list(row) for row in state.inverse]
        for features, target, is_vote in self._examples(weights, models, lesson):
            self._fit(weights, inverse, features, target, is_vote)
        arms = dict(state.arms)
        for model in models:
            if model in lesson.losses:
                arms[str(model)] = _taught(arms.get(str(model), Tally()), lesson.losses[model])
        return LinearState(state.models, weights, inverse, arms)

    def _examples(
        self, weights: list[float], models: Sequence[ModelId], lesson: Lesson
    ) -> list[tuple[list[float], float, bool]]:
        """Features, the target, and whether it is a matter of right or wrong."""
        outputs = {model: out for model, out in lesson.outputs.items() if model in models}
        if not outputs:
            return []
        rows = self._rows(outputs.values())
        if rows is not None:
            targets = self._targets(lesson.label, len(rows[0]))
            if targets is None or len(outputs) < len(models):
                return []  # what an absent model would have said, nobody knows
            values = dict(zip(outputs, rows, strict=True))
            return [
                ([values[model][place] for model in models], target, False)
                for place, target in enumerate(targets)
            ]
        groups = by_value(outputs)
        votes = {
            key: [
                0.0 if model not in outputs else 1.0 if model in names else -1.0 for model in models
            ]
            for key, names in groups.items()
        }
        scores = {key: _dot(weights, features) for key, features in votes.items()}
        right = key_of(output_of(lesson.label))
        wrong = [key for key in votes if key != right]
        examples = [(votes[right], 1.0, True)] if right in votes else []
        if wrong:
            examples.append((votes[max(wrong, key=scores.__getitem__)], 0.0, True))
        return examples

    def _fit(
        self,
        weights: list[float],
        inverse: list[list[float]],
        features: list[float],
        target: float,
        is_vote: bool,
    ) -> None:
        """One step of recursive least squares, or of Newton's method for a vote."""
        kept = 1 - self.forgetting
        score = _dot(weights, features)
        if is_vote:
            guess = _sigmoid(score)
            curvature = max(guess * (1 - guess), 0.01)
            error = (target - guess) / curvature
        else:
            curvature, error = 1.0, target - score
        moved = [_dot(row, features) for row in inverse]
        scale = kept / curvature + _dot(features, moved)
        for place, move in enumerate(moved):
            weights[place] += move / scale * error
            row = inverse[place]
            for other, second in enumerate(moved):
                row[other] = (row[other] - move * second / scale) / kept
        widest = max(inverse[place][place] for place in range(len(inverse)))
        if widest > MOST_MOMENT:
            for row in inverse:
                row[:] = [number * MOST_MOMENT / widest for number in row]

    def _rows(self, outputs: Iterable[Output]) -> list[list[float]] | None:
        """Each output as a vector, all of one length; None where they are no amounts."""
        values = [output.value for output in outputs]
        if self.has_numbers and all(map(is_number, values)):
            return [[float(value)] for value in values]
        if all(isinstance(value, list) and value and is_vector(value) for value in values):
            rows = [list(map(float, value)) for value in values]
            return rows if len({len(row) for row in rows}) == 1 else None
        return None

    def _targets(self, label: Any, width: int) -> list[float] | None:
        """What each place of the output should have been; a class has 1 at its own."""
        if width > 1 and type(label) is int and 0 <= label < width:
            return [float(place == label) for place in range(width)]
        if width == 1 and is_number(label):
            return [float(label)]
        if isinstance(label, list) and len(label) == width and is_vector(label):
            return list(map(float, label))
        return None

    def _fitted(self, state: LinearState, models: Sequence[ModelId]) -> LinearState:
        """The state for these models; a newcomer begins at the mean, and nobody knows it."""
        names = [str(model) for model in models]
        if names == state.models:
            return state
        places = {name: place for place, name in enumerate(state.models)}
        fresh = 1 / len(names)
        known = [places.get(name) for name in names]
        weights = [fresh if place is None else state.weights[place] for place in known]
        inverse = [
            [
                state.inverse[row][column]
                if row is not None and column is not None
                else float(name == other) / self.ridge
                for other, column in zip(names, known, strict=True)
            ]
            for name, row in zip(names, known, strict=True)
        ]
        return LinearState(names, weights, inverse, state.arms)

    def tally(self, state: LinearState, model: ModelId) -> Tally:
        """All lessons count alike."""
        return state.arms.get(str(model), Tally())


def _taught(arm: Tally, loss: float) -> Tally:
    return Tally(arm.pulls + 1, arm.weight + 1, arm.loss + loss, arm.square + loss * loss)


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(map(float.__mul__, one, other))


def _sigmoid(score: float) -> float:
    return 1 / (1 + math.exp(-min(max(score, -MOST_SCORE), MOST_SCORE)))
