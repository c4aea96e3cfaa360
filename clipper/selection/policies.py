"""The policies there are, by the name under which an application asks for them."""

from collections.abc import Callable, Mapping
from typing import Any

from clipper.core.errors import InvalidInput
from clipper.selection.exp3 import Exp3
from clipper.selection.policy import SelectionPolicy
from clipper.selection.single import Single

POLICIES: dict[str, Callable[..., SelectionPolicy]] = {"single": Single, "exp3": Exp3}


def make_policy(name: str, params: Mapping[str, Any]) -> SelectionPolicy:
    """A policy with its parameters.

    Raises:
        InvalidInput: no such policy, or parameters that it does not take.
    """
    if name not in POLICIES:
        raise InvalidInput(
            f"There is no selection policy '{name}'.", hint=f"Choose one of: {', '.join(POLICIES)}."
        )
    try:
        return POLICIES[name](**params)
    except TypeError as error:
        raise InvalidInput(
            f"The selection policy {name} does not take {dict(params)}.", hint=f"{error}."
        ) from None
