"""Serves a LightGBM model that was saved by `save_model`, as text.

Without an output option, or with `predict`, it answers what `Booster.predict` does: values, or the
probabilities of classes, which `predict_proba` names as well (of two classes, the second one's).
`label` is the class that scores best, `margin` the sum of the trees before any transformation.
"""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from clipper_container import LoadError, ModelContainer
from clipper_container.answers import check_trees, labels
from clipper_container.forms import Form, Forms
from clipper_container.saved import find_file, reading

SUFFIXES = (".txt", ".lgb", ".model")
SCORING = ("binary", "multiclass", "multiclassova")
"""Objectives whose values are probabilities of classes."""


class LightgbmContainer(ModelContainer):
    """Answers with what the trees say."""

    def __init__(self, model_data: str) -> None:
        """Load the file, or the only such file of a folder."""
        super().__init__(model_data)
        path = find_file(model_data, SUFFIXES, looks_right)
        with reading(path, "a LightGBM model"):
            self.model = lightgbm.Booster(model_str=read_whole(path))
        objective = str(self.model.dump_model(num_iteration=1).get("objective", "none"))
        check_trees(self.options.output, objective.split(" ")[0] in SCORING, path, objective)
        self._form = Form(np.dtype(np.float64), (self.model.num_feature(),))
        self.describe_inputs(Forms.one(self._form))
        self.about = f"LightGBM {lightgbm.__version__}, {objective}"

    def predict_batch(self, inputs: Any) -> Any:
        """One prediction for each input."""
        margin = self.options.output == "margin"
        scores = self.model.predict(self._form.batch(inputs), raw_score=margin)
        return labels(scores) if self.options.output == "label" else scores


def looks_right(start: bytes) -> bool:
    """Whether a file begins as a model does."""
    return start.startswith((b"tree\n", b"tree\r\n"))


def read_whole(path: Path) -> str:
    """The text of a model. LightGBM's own reader aborts the process over one that is cut off.

    Raises:
        LoadError: it is no model, or not all of one.
    """
    text = path.read_text(encoding="utf-8")
    if not text.startswith("tree\n"):
        raise LoadError(f"{path} is no LightGBM model: save one with save_model.")
    if "\nend of trees" not in text:
        raise LoadError(f"{path} is cut off: the end of its trees is missing.")
    return text
