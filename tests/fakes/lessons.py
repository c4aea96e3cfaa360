"""What feedback tells a policy."""

from collections.abc import Mapping, Sequence
from typing import Any

from clipper.core.outputs import output_of
from clipper.core.types import ModelId
from clipper.selection.policy import Lesson, Selection


def lesson(
    models: Sequence[ModelId],
    losses: Mapping[ModelId, float],
    propensity: float = 1.0,
    outputs: Mapping[ModelId, Any] | None = None,
    label: Any = None,
) -> Lesson:
    """These models were asked, and cost so much."""
    given = {model: output_of(value) for model, value in (outputs or {}).items()}
    return Lesson(Selection(tuple(models), propensity), losses, given, label)
