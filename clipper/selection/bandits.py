"""Bandits over models whose losses are about the same from one query to the next.

They ask one model for each query, and learn what that one costs. Where losses may change at any
time, or somebody may want them to, `exp3` promises more.
"""

import math
from collections.abc import Sequence

from clipper.core.types import ModelId
from clipper.selection.arms import FORGETTING, ArmsState, Bandit
from clipper.selection.parameters import check_range


class EpsilonGreedy(Bandit):
    """The best so far; now and then, for a share `epsilon` of the queries, any (Sutton and Barto,
    "Reinforcement Learning", "Action-value Methods"). A model that was never judged is tried first.
    """

    name = "epsilon_greedy"

    def __init__(self, epsilon: float = 0.1, forgetting: float = FORGETTING) -> None:
        super().__init__(forgetting)
        check_range(self.name, "epsilon", epsilon, 0, 1)
        self.epsilon = epsilon

    def shares(self, state: ArmsState, models: Sequence[ModelId]) -> list[float]:
        """Most for the best, a little for any."""
        means = [arm.mean if arm.pulls else -1.0 for arm in state.of(models)]
        shares = [self.epsilon / len(models)] * len(models)
        shares[means.index(min(means))] += 1 - self.epsilon
        return shares


class Ucb1(Bandit):
    """The one that may be the best, as far as is known (Auer, Cesa-Bianchi and Fischer 2002,
    "Finite-time Analysis of the Multiarmed Bandit Problem"): the least `mean - sqrt(c log N / n)`
    of n trials of N. A model that was never judged is tried first. It leaves nothing to chance.
    """

    name = "ucb1"

    def __init__(self, exploration: float = 0.5, forgetting: float = FORGETTING) -> None:
        """`exploration` is c; the paper proves bounds for 2, and a half is better for most."""
        super().__init__(forgetting)
        check_range(self.name, "exploration", exploration, 0, 100)
        self.exploration = exploration

    def shares(self, state: ArmsState, models: Sequence[ModelId]) -> list[float]:
        """All for the one with the least bound."""
        arms = state.of(models)
        log_total = math.log(max(sum(arm.weight for arm in arms), 1.0))

        def bound(index: int) -> float:
            arm = arms[index]
            if not arm.weight:
                return -math.inf
            return arm.mean - math.sqrt(self.exploration * log_total / arm.weight)

        shares = [0.0] * len(models)
        shares[min(range(len(models)), key=bound)] = 1.0
        return shares
