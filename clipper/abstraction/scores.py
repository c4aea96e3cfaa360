"""Outputs as numbers: vectors of scores, and whether two outputs say the same."""

from typing import Any

import numpy as np

from clipper.abstraction.distance import Floats
from clipper.core.types import Output


def leads_by(value: Any, margin: float) -> bool:
    """Whether a value is a score vector whose best score is ahead of the second by a margin.

    A score vector is a flat list of two or more numbers. Where no score changes by more than a
    slope for each unit of distance, an input's best score is the best of every input within the
    radius if it leads by more than twice the slope times the radius.
    """
    if not isinstance(value, list) or len(value) < 2 or not all(map(_is_number, value)):
        return False
    second, best = sorted(value)[-2:]
    return bool(best - second >= margin)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def agree(served: Output, true: Output, tolerance: float | None) -> bool:
    """Whether the output that was served may stand for the one that the model gives.

    Given a tolerance, numbers, alone or in arrays, may each be off by as much. Without one, score
    vectors agree in which score is the best, and other numbers only if they are equal. Everything
    else agrees if its JSON text is the same.
    """
    if served.json == true.json:
        return True
    ours, theirs = _numbers(served.value), _numbers(true.value)
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return False
    if tolerance is None and ours.ndim == 1 and len(ours) > 1:
        return bool(ours.argmax() == theirs.argmax())
    return bool((np.abs(ours - theirs) <= (tolerance or 0.0)).all())


def _numbers(value: Any) -> Floats | None:
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    return array.astype(np.float64) if array.dtype.kind in "iuf" else None
