"""Checks of the parameters that applications give their policies."""

from clipper.core.errors import InvalidInput

LEAST = 1e-6
"""Of what must be above 0."""


def check_range(policy: str, name: str, value: object, least: float, most: float) -> None:
    """Whether a parameter is a number in its range, both ends included.

    Raises:
        InvalidInput: it is not.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and least <= value <= most):  # type: ignore[operator]
        raise InvalidInput(
            f"{policy} got {name}={value}", hint=f"{name} is a number from {least:g} to {most:g}."
        )
