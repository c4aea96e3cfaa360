"""The input types by their names, and what holds where a deployment and its model name two."""

from typing import Any

from clipper_container import model_pb2
from clipper_container.errors import LoadError

INPUT_TYPES = {
    "any": model_pb2.INPUT_TYPE_UNSPECIFIED,
    "integers": model_pb2.INTEGERS,
    "floats": model_pb2.FLOATS,
    "doubles": model_pb2.DOUBLES,
    "strings": model_pb2.STRINGS,
    "bytes": model_pb2.BYTES,
    "json": model_pb2.JSON,
}
NUMBERS = frozenset({model_pb2.INTEGERS, model_pb2.FLOATS, model_pb2.DOUBLES})
FRACTIONS = frozenset({model_pb2.FLOATS, model_pb2.DOUBLES})
"""A model that takes these can be given numbers of any type."""


def name_of(input_type: Any) -> str:
    """As people write it."""
    value = model_pb2.InputType.DESCRIPTOR.values_by_number.get(input_type)
    return value.name.lower() if value else f"input type {input_type}"


def agreed(model: object, given: model_pb2.InputType) -> model_pb2.InputType:
    """The input type that is served: the deployment's, else what the model says of itself.

    Raises:
        LoadError: the model takes something else than it was deployed for.
    """
    said = getattr(model, "input_type", "") or "any"
    own = INPUT_TYPES.get(said)
    if own is None:
        raise LoadError(
            f"{type(model).__name__}.input_type is {said!r}, none of {', '.join(INPUT_TYPES)}."
        )
    if given == model_pb2.INPUT_TYPE_UNSPECIFIED:
        return own
    if name_of(given) in getattr(model, "refuses", ()):
        takes = getattr(model, "input_form", "") or "something else"
        raise LoadError(
            f"The model takes {takes}, but it was deployed for {name_of(given)}; "
            "deploy it with another input type, or with none."
        )
    is_fit = own in (model_pb2.INPUT_TYPE_UNSPECIFIED, given)
    if not is_fit and not (given in NUMBERS and own in FRACTIONS):
        raise LoadError(
            f"The model takes {said}, but it was deployed for {name_of(given)}; "
            f"deploy it with the input type {said}, or with none."
        )
    return given
