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

What changes is learned anew because every lesson forgets a little. Where nothing is observed, as
along the difference of two models that always say the same, that would let the inverse grow for
ever ("estimator windup"). It is held there, and only there: where too little is known of a weight,
it counts as observed where it began, which is what the ridge says of a fresh one. As with any other
observation a matrix of rank one is taken from the inverse, so that it stays positive definite, and
what is forgotten in other directions stays forgotten. A lesson does so for the weight that is known
least.

A model that is silent has no feature. In a sum the mean of the others takes its place, in answers
and in lessons alike: the answer keeps its size, and the others are still taught. Where the others
say amounts, whoever says none, or a vector of another length, is as good as silent: what one broken
model says must not turn their sum into a vote.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from operator import mul
from typing import Any

import msgspec

from clipper.core.errors import InvalidInput
from clipper.core.outputs import output_of
from clipper.core.types import ModelId, Output
from clipper.selection.combining import by_value, is_number, is_vector, key_of
from clipper.selection.parameters import LEAST, check_range
from clipper.selection.policy import (
    NOTHING_USUAL,
    UNTRIED,
    Combination,
    Lesson,
    Selection,
    SelectionPolicy,
    State,
    Tally,
)

MOST_FORGOTTEN = 100.0
"""No weight is known less than a fresh one, by more than that (in variances)."""
MOST_AMOUNT = 1e12
"""Beyond that, a number is a mistake and no amount."""
MOST_LENGTH = 100.0
"""Of an observation's features; a longer one is scaled, label and all, so that it counts less.

The inverse could not hold what it tells beside what it has not seen yet: floats have 16 digits.
"""
LONG_SILENT = 10
"""Lessons; a model that has had no output for so many has no usual one either."""
MOST_SCORE = 30.0
NO_AMOUNT = -1
"""As a length."""
Example = tuple[Sequence[float], float, bool]
"""Features, the target, and whether it is a matter of right or wrong."""
Rows = dict[ModelId, list[float]]
"""Outputs as vectors of one length, float[places]; a number has one place."""


class LinearState(msgspec.Struct, frozen=True):
    """What one context has learned."""

    models: list[str] = []
    """The model versions (`name:version`) in the order of the weights."""
    weights: list[float] = []
    inverse: list[list[float]] = []
    """Of the features' second moments."""
    arms: dict[str, Tally] = {}
    silent: dict[str, int] = {}
    """For how many lessons a model has had no output that was one to learn from, up to the last
    one; only of those."""


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
        rows = next(iter(self._shapes(state, models, outputs)), None)
        if not rows:
            groups = by_value(outputs)
            scored = {
                key: sum(weights[model] * (1 if model in names else -1) for model in outputs)
                for key, names in groups.items()
            }
            best = max(scored, key=scored.__getitem__)
            return outputs[groups[best][0]], _sigmoid(scored[best])
        sizes = sum(map(abs, state.weights))
        present = sum(abs(weights[model]) for model in rows)
        first = next(iter(rows))
        width, is_vector_output = len(rows[first]), isinstance(outputs[first].value, list)
        for model, output in usual.items():
            row = self._row(output.value)
            if row and len(row) == width and state.silent.get(str(model), 0) < LONG_SILENT:
                rows[model] = row
        sums = [_dot(state.weights, column) for column in _columns(weights, rows)]
        return output_of(sums if is_vector_output else sums[0]), present / sizes if sizes else 0.0

    def observe(self, state: LinearState, models: Sequence[ModelId], lesson: Lesson) -> LinearState:
        """Fit the weights to the label; what came out as no finite number is not kept."""
        if not models:
            return state
        state = self._fitted(state, models)
        weights, inverse = list(state.weights), [list(row) for row in state.inverse]
        kept = 1 - self.forgetting
        examples, heard = self._examples(state, models, lesson)
        for features, target, is_vote in examples:
            self._fit(weights, inverse, features, target, is_vote, kept)
            kept = 1.0  # a lesson lets go of a share once, however much it teaches
        self._hold(weights, inverse)
        if not math.isfinite(sum(weights) + sum(_diagonal(inverse))):
            weights, inverse = state.weights, state.inverse
        arms, silent = {}, {}
        for name, model in zip(state.models, models, strict=True):
            if model in lesson.losses:
                arms[name] = _taught(state.arms.get(name, UNTRIED), lesson.losses[model])
                if model not in heard:
                    silent[name] = state.silent.get(name, 0) + 1
            elif name in state.arms:
                arms[name] = state.arms[name]
        return LinearState(state.models, weights, inverse, arms, silent)

    def _examples(
        self, state: LinearState, models: Sequence[ModelId], lesson: Lesson
    ) -> tuple[list[Example], Collection[ModelId]]:
        """What the weights are to be fitted to, and whose outputs that is about.

        Of several shapes that is the heaviest that the label can be compared with; one of which
        everything costs 1, as does what cannot be judged, only where there is no other.
        """
        shapes = self._shapes(state, models, lesson.outputs)
        if len(shapes) > 1 and shapes[0]:
            shapes.sort(key=lambda rows: all(lesson.losses.get(model, 1.0) >= 1 for model in rows))
        for rows in shapes:
            if not rows:
                return self._votes(state, models, lesson), lesson.outputs
            targets = self._targets(lesson.label, len(next(iter(rows.values()))))
            if targets is not None:
                columns = _columns(dict(zip(models, state.weights, strict=True)), rows)
                return [
                    (column, target, False) for column, target in zip(columns, targets, strict=True)
                ], rows
        return [], lesson.outputs

    def _votes(
        self, state: LinearState, models: Sequence[ModelId], lesson: Lesson
    ) -> list[Example]:
        """The right answer, and of the wrong ones that with the best score; of amounts, none."""
        if self.has_numbers:
            return []
        outputs = {model: out for model, out in lesson.outputs.items() if model in models}
        groups = by_value(outputs)
        votes = {
            key: [
                0.0 if model not in outputs else 1.0 if model in names else -1.0 for model in models
            ]
            for key, names in groups.items()
        }
        scores = {key: _dot(state.weights, features) for key, features in votes.items()}
        right = key_of(output_of(lesson.label))
        wrong = [key for key in votes if key != right]
        examples: list[Example] = [(votes[right], 1.0, True)] if right in votes else []
        if wrong:
            examples.append((votes[max(wrong, key=scores.__getitem__)], 0.0, True))
        return examples

    def _fit(
        self,
        weights: list[float],
        inverse: list[list[float]],
        features: Sequence[float],
        target: float,
        is_vote: bool,
        kept: float,
    ) -> None:
        """One step of recursive least squares, or of Newton's method for a vote."""
        score = _dot(weights, features)
        if is_vote:
            guess = _sigmoid(score)
            curvature = max(guess * (1 - guess), 0.01)
            error = (target - guess) / curvature
        else:
            length = max(1.0, math.hypot(*features) / MOST_LENGTH)
            features = [feature / length for feature in features]
            curvature, error = 1.0, (target - score) / length
        moved = [_dot(row, features) for row in inverse]
        reach = _dot(features, moved)
        if reach < 0:  # not positive definite: rounding has eaten it up
            inverse[:] = self._fresh(len(features))
            moved = [feature / self.ridge for feature in features]
            reach = _dot(features, moved)
        scale = kept / curvature + reach
        _step(weights, inverse, moved, error / scale, scale)
        if kept < 1:
            for row in inverse:
                row[:] = [number / kept for number in row]

    def _hold(self, weights: list[float], inverse: list[list[float]]) -> None:
        """Observe the weight that is known least where it began, if too little is known of it."""
        most = MOST_FORGOTTEN / self.ridge
        variances = _diagonal(inverse)
        widest = max(variances)
        if widest > most:
            place = variances.index(widest)
            scale = widest / (1 - most / widest)
            _step(
                weights, inverse, inverse[place], (1 / len(weights) - weights[place]) / scale, scale
            )

    def _fresh(self, count: int) -> list[list[float]]:
        """The inverse where nothing was observed."""
        return [
            [float(row == column) / self.ridge for column in range(count)] for row in range(count)
        ]

    def _shapes(
        self, state: LinearState, models: Sequence[ModelId], outputs: Mapping[ModelId, Output]
    ) -> list[Rows]:
        """Outputs as vectors, those of one shape together, the heaviest first.

        What is no amount has no rows. It comes last where amounts are wanted, and where labels are,
        in its turn. Who has been silent for long has no weight in that: it may have come to say
        what nobody can learn from.
        """
        rows: Rows = {}
        groups: dict[int, list[int]] = {}
        for place, model in enumerate(models):
            if model in outputs:
                value = outputs[model].value
                row = self._row(value)
                if row is not None:
                    rows[model] = row
                shape = NO_AMOUNT if row is None else len(row) if isinstance(value, list) else 0
                groups.setdefault(shape, []).append(place)

        def weight(shape: int) -> float:
            if shape == NO_AMOUNT and self.has_numbers:
                return -1.0
            return sum(
                abs(state.weights[place])
                for place in groups[shape]
                if state.silent.get(state.models[place], 0) < LONG_SILENT
            )

        shapes = sorted(groups, key=weight, reverse=True) if len(groups) > 1 else groups
        return [
            {models[place]: rows[models[place]] for place in groups[shape] if models[place] in rows}
            for shape in shapes
        ]

    def _row(self, value: Any) -> list[float] | None:
        """An output as a vector; None where it is no amount, or one that cannot be meant."""
        if isinstance(value, list):
            is_row = value and is_vector(value) and _are_meant(value)
            return list(map(float, value)) if is_row else None
        is_amount = self.has_numbers and is_number(value) and abs(value) <= MOST_AMOUNT
        return [float(value)] if is_amount else None

    def _targets(self, label: Any, width: int) -> list[float] | None:
        """What each place of the output should have been; a class has 1 at its own."""
        if width > 1 and type(label) is int and 0 <= label < width:
            return [float(place == label) for place in range(width)]
        labels = label if isinstance(label, list) else [label]
        if len(labels) == width and is_vector(labels) and _are_meant(labels):
            return list(map(float, labels))
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
        return LinearState(names, weights, inverse, state.arms, state.silent)

    def tally(self, state: LinearState, model: ModelId) -> Tally:
        """All lessons count alike."""
        return state.arms.get(str(model), UNTRIED)


def _taught(arm: Tally, loss: float) -> Tally:
    return Tally(arm.pulls + 1, arm.weight + 1, arm.loss + loss, arm.square + loss * loss)


def _columns(
    weights: Mapping[ModelId, float], rows: Mapping[ModelId, list[float]]
) -> list[tuple[float, ...]]:
    """What the models said, float[places, models]; for the silent, what the others did on average.

    The average goes by the sizes of the weights, so that it lies between the outputs whatever signs
    the weights have, and each silent model counts with its own weight. Where all that are there
    have the weight 0, they count alike.
    """
    mean: list[float] = []
    if len(rows) < len(weights):
        sizes = [abs(weights[model]) for model in rows]
        total = sum(sizes)
        shares = [size / total if total else 1 / len(rows) for size in sizes]
        mean = [_dot(shares, column) for column in zip(*rows.values(), strict=True)]
    said = [rows.get(model, mean) for model in weights]
    return list(zip(*said, strict=True))


def _step(
    weights: list[float], inverse: list[list[float]], moved: list[float], by: float, scale: float
) -> None:
    """Move the weights by so much, and take the square of the move over `scale` from the inverse.

    Both factors of the square are scaled alike, so that the inverse stays symmetric exactly.
    """
    root = math.sqrt(scale)
    scaled = [move / root for move in moved]
    for place, move in enumerate(moved):
        weights[place] += move * by
    for row, one in zip(inverse, scaled, strict=True):
        for place, other in enumerate(scaled):
            row[place] -= one * other


def _diagonal(inverse: list[list[float]]) -> list[float]:
    return [row[place] for place, row in enumerate(inverse)]


def _are_meant(numbers: Sequence[float]) -> bool:
    return min(numbers) >= -MOST_AMOUNT and max(numbers) <= MOST_AMOUNT


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    total: float = sum(map(mul, one, other))
    return total


def _sigmoid(score: float) -> float:
    return 1 / (1 + math.exp(-min(max(score, -MOST_SCORE), MOST_SCORE)))
