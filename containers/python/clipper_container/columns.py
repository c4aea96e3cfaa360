"""Estimators that were fitted on columns with names: what they take, and frames of it."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from clipper_container.errors import LoadError

COLUMNS_SHOWN = 20


def names_of(estimator: Any) -> list[str]:
    """The columns that it was fitted on, in their order; empty where they had no names."""
    return [str(name) for name in getattr(estimator, "feature_names_in_", ())]


def shown(names: Sequence[str]) -> str:
    """Columns for people: `{age, income}`."""
    more = ", ..." if len(names) > COLUMNS_SHOWN else ""
    return f"{{{', '.join(names[:COLUMNS_SHOWN])}{more}}}"


def parts_of(estimator: Any) -> Iterator[Any]:
    """The estimator and all that were fitted within it."""
    yield estimator
    within = [step for _, step in getattr(estimator, "steps", None) or ()]
    within += [step for _, step, *_ in getattr(estimator, "transformers_", None) or ()]
    within += [step for _, step in getattr(estimator, "transformer_list", None) or ()]
    within += [getattr(estimator, "best_estimator_", None)]
    for part in within:
        if part is not None and not isinstance(part, str):
            yield from parts_of(part)


def selects_by_name(estimator: Any) -> bool:
    """Whether some step picks columns by name, so that an array is nothing to it."""
    return any(
        isinstance(column, str)
        for part in parts_of(estimator)
        for _, _, columns in getattr(part, "transformers_", None) or ()
        for column in np.atleast_1d(columns)
    )


def has_texts(estimator: Any) -> bool:
    """Whether some column is known to be of texts, by the categories that were learned."""
    return any(
        isinstance(category, str)
        for part in parts_of(estimator)
        for categories in getattr(part, "categories_", ())
        for category in categories
    )


def guess_of(estimator: Any, names: Sequence[str]) -> dict[str, Any]:
    """One record: zeros, and of columns with categories the first."""
    record: dict[str, Any] = dict.fromkeys(names, 0.0)
    for part in parts_of(estimator):
        for _, step, columns in getattr(part, "transformers_", None) or ():
            places = [name for name in np.atleast_1d(columns) if isinstance(name, str)]
            known = next((each.categories_ for each in parts_of(step) if _knows(each)), ())
            if len(known) == len(places) and set(places) <= record.keys():
                firsts = (np.asarray(each).tolist()[0] for each in known)
                record.update(zip(places, firsts, strict=True))
    return record


def _knows(part: Any) -> bool:
    return hasattr(part, "categories_")


def frame_of(inputs: Any, names: Sequence[str]) -> Any:
    """A batch of records, or of rows in the columns' order, as a frame.

    Raises:
        ValueError: an input lacks a column, or has too few or too many values.
    """
    import pandas as pd  # only here, so that models of arrays need no such package

    for index, each in enumerate(inputs):
        if isinstance(each, dict):
            if missing := [name for name in names if name not in each]:
                raise ValueError(
                    f"Input {index} of the batch has no {', '.join(missing)}; "
                    f"it takes {shown(names)}."
                )
        elif np.ndim(each) != 1 or len(each) != len(names):
            raise ValueError(
                f"Input {index} of the batch is no record, nor as many values as it takes columns, "
                f"{shown(names)}."
            )
    return pd.DataFrame(inputs, columns=list(names))


def check_frames(needed: bool, place: object) -> bool:
    """Whether frames can be made.

    Raises:
        LoadError: not here, and the model can do with nothing else.
    """
    try:
        import pandas as pd  # noqa: F401
    except ImportError as error:
        if not needed:
            return False
        raise LoadError(
            f"{place} picks its columns by name, for which it needs the Python package pandas, "
            "which is not installed here: deploy it with --requirements."
        ) from error
    return True
