"""What a model with several outputs answers: the one that was asked for, or all by name."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipper_container.errors import LoadError


def answer(outputs: Mapping[str, Any], wanted: str) -> Any:
    """One column of outputs, or a JSON object for each input.

    Raises:
        LoadError: there is no output of the name that is wanted.
    """
    if wanted:
        check_output(wanted, outputs)
        return outputs[wanted]
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    return [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]


def check_output(wanted: str, names: Iterable[str] | None) -> None:
    """Refuse an output that the model does not have.

    Where there are no names, there is no saying yet.

    Raises:
        LoadError: it has none of the name.
    """
    if wanted and names is not None and wanted not in names:
        raise LoadError(f"The model has no output {wanted!r}; it has {', '.join(names)}.")


def check_trees(wanted: str, scores_classes: bool, place: object, objective: str) -> None:
    """Refuse what trees do not answer; `predict` is what they do where nothing is wanted.

    Raises:
        LoadError: they have no output of the name, or no classes for one.
    """
    if wanted in ("label", "predict_proba") and not scores_classes:
        what = "labels" if wanted == "label" else "probabilities"
        raise LoadError(f"{place} has no {what}: its objective is {objective}.")
    of_classes = ["predict_proba", "label"] if scores_classes else []
    check_output(wanted, ["predict", *of_classes, "margin"])


def labels(scores: NDArray[Any]) -> NDArray[Any]:
    """The classes that score best: int64[batch], of probabilities [batch] or [batch, classes]."""
    return scores.argmax(axis=1) if scores.ndim == 2 else (scores > 0.5).astype(np.int64)


def form_of(outputs: Any) -> str:
    """What one output of a batch looks like, for people; empty where there is no saying."""
    if isinstance(outputs, np.ndarray) and outputs.dtype.kind in "biuf":
        dims = ", ".join(map(str, outputs.shape[1:]))
        return f"{outputs.dtype.name}[{dims}]" if dims else outputs.dtype.name
    if isinstance(outputs, np.ndarray | list) and len(outputs):
        first = outputs[0]
        if isinstance(first, dict):
            return f"{{{', '.join(map(str, first))}}}"
        return "text" if isinstance(first, str) else ""
    return ""
