"""The policies there are, by the name under which an application asks for them."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from inspect import signature
from typing import Any

from clipper.core.errors import InvalidInput
from clipper.selection.bandits import EpsilonGreedy, Ucb1
from clipper.selection.cascade import Cascade
from clipper.selection.comparing import Canary, Shadow, Split
from clipper.selection.ensemble import Exp4, Majority, Static
from clipper.selection.exp3 import Exp3
from clipper.selection.linear import Linear
from clipper.selection.own import OWN
from clipper.selection.policy import SelectionPolicy
from clipper.selection.single import Single
from clipper.selection.thompson import Thompson

POLICIES: dict[str, Callable[..., SelectionPolicy]] = {
    "single": Single,
    "exp3": Exp3,
    "epsilon_greedy": EpsilonGreedy,
    "ucb1": Ucb1,
    "thompson": Thompson,
    "exp4": Exp4,
    "linear": Linear,
    "majority": Majority,
    "static": Static,
    "ab": Split,
    "canary": Canary,
    "shadow": Shadow,
    "cascade": Cascade,
}


def find_policy(name: str) -> Callable[..., SelectionPolicy]:
    """Of this release, or, where the name is `module:Class`, one of the daemon's owner.

    Raises:
        InvalidInput: there is no such policy.
    """
    if ":" in name:
        return OWN.find(name)
    if name not in POLICIES:
        raise InvalidInput(
            f"There is no selection policy '{name}'.",
            hint=f"Choose one of: {', '.join(POLICIES)}; or `module:Class`, one of your own.",
        )
    return POLICIES[name]


@lru_cache(maxsize=1024)  # it takes longer than all the rest, and there may be many applications
def _asks_for_loss(factory: Callable[..., SelectionPolicy]) -> bool:
    return "loss" in signature(factory).parameters


def make_policy(name: str, params: Mapping[str, Any], loss: str) -> SelectionPolicy:
    """A policy with its parameters; one that asks for the application's `loss` is told it.

    Raises:
        InvalidInput: no such policy, or parameters that it does not take.
    """
    factory = find_policy(name)
    told = {"loss": loss} if _asks_for_loss(factory) else {}
    try:
        policy = factory(**params, **told)
        policy.init()
    except InvalidInput:
        raise
    except TypeError:
        takes = [known for known in signature(factory).parameters if known != "loss"]
        raise InvalidInput(
            f"The selection policy {name} does not take {dict(params)}.",
            hint=f"It takes {', '.join(takes) or 'no parameters'}.",
        ) from None
    except Exception as error:
        raise InvalidInput(
            f"The selection policy {name} cannot be made: {type(error).__name__}: {error}"
        ) from error
    return policy
