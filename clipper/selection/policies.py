"""The policies there are, by the name under which an application asks for them."""

from collections.abc import Callable, Mapping
from typing import Any

from clipper.core.errors import InvalidInput
from clipper.selection.bandits import EpsilonGreedy, Ucb1
from clipper.selection.ensemble import Exp4, Majority, Static
from clipper.selection.exp3 import Exp3
from clipper.selection.policy import SelectionPolicy
from clipper.selection.single import Single
from clipper.selection.thompson import Thompson

BANDITS: dict[str, Callable[..., SelectionPolicy]] = {
    "single": Single,
    "exp3": Exp3,
    "epsilon_greedy": EpsilonGreedy,
    "ucb1": Ucb1,
    "thompson": Thompson,
}
"""They ask one model."""
ENSEMBLES: dict[str, Callable[..., SelectionPolicy]] = {
    "exp4": Exp4,
    "majority": Majority,
    "static": Static,
}
"""They ask all, and combine outputs as the application's loss judges them."""
POLICIES = BANDITS | ENSEMBLES


def make_policy(name: str, params: Mapping[str, Any], loss: str) -> SelectionPolicy:
    """A policy with its parameters, for an application with this loss.

    Raises:
        InvalidInput: no such policy, or parameters that it does not take.
    """
    if name not in POLICIES:
        raise InvalidInput(
            f"There is no selection policy '{name}'.", hint=f"Choose one of: {', '.join(POLICIES)}."
        )
    try:
        if name in ENSEMBLES:
            return ENSEMBLES[name](**params, loss=loss)
        return BANDITS[name](**params)
    except TypeError as error:
        raise InvalidInput(
            f"The selection policy {name} does not take {dict(params)}.", hint=f"{error}."
        ) from None
