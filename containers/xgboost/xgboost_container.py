"""Serves an XGBoost model that was saved by `save_model`, as JSON or UBJSON.

Without an output option, or with `predict`, it answers what `Booster.predict` does: values, or the
probabilities of classes, which `predict_proba` names as well (of two classes, the second one's).
`label` is the class that scores best, `margin` the sum of the trees before any transformation.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from clipper_container import LoadError, ModelContainer
from clipper_container.answers import check_trees, labels
from clipper_container.forms import Form, Forms
from clipper_container.saved import find_file, reading

SUFFIXES = (".ubj", ".xgb", ".json", ".model", ".bin")
SCORING = ("binary:logistic", "multi:softprob")
"""Objectives whose values are probabilities of classes."""


class XgboostContainer(ModelContainer):
    """Answers with what the trees say, as many of them as early stopping left."""

    def __init__(self, model_data: str) -> None:
        """Load the file, or the only such file of a folder."""
        super().__init__(model_data)
        path = find_file(model_data, SUFFIXES, looks_right)
        with reading(path, "an XGBoost model"):
            check_whole(path)
            self.model = xgboost.Booster(model_file=str(path))
            learner = json.loads(self.model.save_config())["learner"]
        objective = learner["objective"]["name"]
        check_trees(self.options.output, objective in SCORING, path, objective)
        best = self.model.attr("best_iteration")
        self._rounds = (0, int(best) + 1 if best is not None else 0)
        self._form = Form(np.dtype(np.float32), (self.model.num_features(),))
        self.describe_inputs(Forms.one(self._form))
        self.about = f"XGBoost {xgboost.__version__}, {objective}"

    def predict_batch(self, inputs: Any) -> Any:
        """One prediction for each input."""
        scores = self.model.inplace_predict(
            self._form.batch(inputs),
            iteration_range=self._rounds,
            predict_type="margin" if self.options.output == "margin" else "value",
        )
        return labels(scores) if self.options.output == "label" else scores


def looks_right(start: bytes) -> bool:
    """Whether a file begins as a model does, in JSON or in UBJSON."""
    return start.lstrip()[:1] == b"{" and b"learner" in start


def check_whole(path: Path) -> None:
    """Refuse a file without an end, over which XGBoost's reader crashes.

    Raises:
        LoadError: it is cut off, or neither JSON nor UBJSON.
    """
    with path.open("rb") as file:
        start = file.read(1)
        file.seek(-min(16, os.fstat(file.fileno()).st_size), os.SEEK_END)
        end = file.read().rstrip()[-1:]
    if (start, end) != (b"{", b"}"):
        raise LoadError(f"{path} is no XGBoost model, or is cut off: save one with save_model.")
