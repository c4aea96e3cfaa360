"""Thresholds for a cascade, found on data that no model was trained on.

Wang et al., "IDK Cascades" (UAI 2018), section "Learning IDK Classifiers", by search over a grid:
the cheapest thresholds whose answers are not wrong more often than those of the best model alone by
more than was agreed. On a thousand examples "not wrong more often" is easily luck, so that what
counts is the upper end of Wilson's interval around the share of examples that the cascade gets
wrong and the best model right. It may turn out that no cascade is worth it: because the best model
alone is cheaper than any, or because a cheaper one alone is not wrong more often than was agreed.

What is right the application's loss tells, which judges the cascade when it serves.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clipper.selection.losses import LOSSES

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST_COMBINATIONS = 20_000
Z = 1.645
"""Of a one-sided interval at 95 per cent."""


class Level(NamedTuple):
    """One model on the examples."""

    doubts: Floats
    """float64[examples]: how unsure each output is; infinity where it has no probabilities."""
    losses: Floats
    """float64[examples]: what each output costs, from 0 to 1."""
    cost: float
    """Seconds that one query alone takes."""
    limit: float = 0.5
    """An output that costs less is right."""

    @property
    def is_right(self) -> Flags:
        """bool[examples]"""
        return self.losses < self.limit


class Fit(NamedTuple):
    """What a cascade would do."""

    levels: tuple[int, ...]
    """Which models it asks, cheapest first; one is no cascade."""
    thresholds: tuple[float, ...]
    accuracy: float
    loss: float
    """On average."""
    cost: float
    """Seconds that one query alone takes, on average."""
    shares: tuple[float, ...]
    """Of the queries that each of them answers."""
    added_error: float
    """At most, at 95 per cent, more often wrong than the best model alone; of that one, 0."""


def right_below(loss: str) -> float:
    """By this loss an output is right that costs less: less than to be undecided would, as a half
    is where the label is 1.
    """
    return 0.5 if loss == "zero_one" else LOSSES[loss](1, 0.5)  # zero_one has nothing between


def alone(levels: Sequence[Level], which: int) -> Fit:
    """One model for all."""
    level, best = levels[which], _best(levels)
    accuracy, loss = float(level.is_right.mean()), float(level.losses.mean())
    added = 0.0 if which == best else _added_error(level.is_right, levels[best].is_right)
    return Fit((which,), (), accuracy, loss, level.cost, (1.0,), added)


def best_alone(levels: Sequence[Level]) -> Fit:
    """The most accurate model; of equals the cheapest."""
    return alone(levels, _best(levels))


def _best(levels: Sequence[Level]) -> int:
    return max(
        range(len(levels)), key=lambda i: (float(levels[i].is_right.mean()), -levels[i].cost)
    )


def fit(levels: Sequence[Level], tolerance: float) -> Fit:
    """The cheapest of all models alone, and of all cascades that end in the best model.

    A cascade asks its last model at times: one that never does is not what it is called.

    `levels` cheapest first; `tolerance` is the share of queries, from 0 to 1, that may be answered
    wrong for the sake of the cost.
    """
    best = best_alone(levels)
    (last,) = best.levels
    found = best
    for which in range(last):
        one = alone(levels, which)
        if one.added_error <= tolerance and one.cost < found.cost:
            found = one
    for count in range(1, last + 1):
        for cheap in itertools.combinations(range(last), count):
            chosen = (*cheap, last)
            for thresholds in _grid([levels[i] for i in cheap]):
                one = evaluate(levels, chosen, thresholds)
                is_cascade = one.shares[-1] > 0
                if is_cascade and one.added_error <= tolerance and one.cost < found.cost:
                    found = one
    return found


def evaluate(
    levels: Sequence[Level], chosen: tuple[int, ...], thresholds: tuple[float, ...]
) -> Fit:
    """What these thresholds do on the examples."""
    last = levels[chosen[-1]]
    total = len(last.is_right)
    is_open: Flags = np.ones(total, dtype=np.bool_)
    losses: Floats = np.zeros(total)
    is_right: Flags = np.zeros(total, dtype=np.bool_)
    cost, shares = 0.0, []
    for place, which in enumerate(chosen):
        level = levels[which]
        cost += level.cost * float(is_open.mean())
        is_last = place == len(chosen) - 1
        settled = is_open if is_last else is_open & (level.doubts <= thresholds[place])
        losses = np.where(settled, level.losses, losses)
        is_right = np.where(settled, level.is_right, is_right)
        shares.append(float(settled.mean()))
        is_open = is_open & ~settled
    added = _added_error(is_right, last.is_right)
    accuracy, loss = float(is_right.mean()), float(losses.mean())
    return Fit(chosen, thresholds, accuracy, loss, cost, tuple(shares), added)


def _added_error(is_right: Flags, best_is_right: Flags) -> float:
    """How much more often wrong than the best, at most."""
    lost = int((best_is_right & ~is_right).sum())
    won = int((is_right & ~best_is_right).sum())
    return upper_share(lost, len(is_right)) - won / len(is_right)


def upper_share(count: int, total: int) -> float:
    """The upper end of Wilson's interval around count / total."""
    share, z2 = count / total, Z * Z / total
    half = Z * (share * (1 - share) / total + z2 / (4 * total)) ** 0.5
    return float((share + z2 / 2 + half) / (1 + z2))


def _grid(levels: Sequence[Level]) -> list[tuple[float, ...]]:
    """Quantiles of the doubts of each level, all combinations; none where one is never sure."""
    steps = max(2, int(MOST_COMBINATIONS ** (1 / len(levels))))
    axes = []
    for level in levels:
        doubts = level.doubts[np.isfinite(level.doubts)]
        if not len(doubts):
            return []
        places = np.linspace(0, 1, min(steps, len(doubts)))
        axes.append(sorted(set(np.quantile(doubts, places, method="lower").tolist())))
    return list(itertools.product(*axes))
