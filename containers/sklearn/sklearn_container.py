"""Serves a scikit-learn estimator, or whatever else has `predict`, from a joblib or pickle file."""

import logging
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from clipper_container import ModelContainer

log = logging.getLogger(__name__)

SUFFIXES = (".joblib", ".pkl")


class SklearnContainer(ModelContainer):
    """Answers with the estimator's `predict`; arrays and lists of texts go in as they are."""

    def __init__(self, model_data: str) -> None:
        """Load the file, or the only such file of a folder."""
        super().__init__(model_data)
        path = find_file(Path(model_data))
        self.estimator: Any = joblib.load(path)
        if not callable(getattr(self.estimator, "predict", None)):
            raise TypeError(
                f"{path} holds a {type(self.estimator).__name__}, which has no predict; "
                "save a fitted estimator or pipeline."
            )

    def predict_batch(self, inputs: Any) -> Any:
        """One prediction for each input."""
        if isinstance(inputs, list) and isinstance(inputs[0], np.ndarray):
            raise ValueError(self._ragged(inputs))
        return self.estimator.predict(inputs)

    def _ragged(self, inputs: list[Any]) -> str:
        shapes = sorted({item.shape for item in inputs})
        features = getattr(self.estimator, "n_features_in_", None)
        wanted = f"{features} numbers" if features else "as many numbers as the others"
        return f"Inputs of the batch differ in shape, {shapes[0]} and {shapes[-1]}; send {wanted}."

    def warm_up(self) -> None:
        """Predict once on zeros, where the estimator says how many."""
        features = getattr(self.estimator, "n_features_in_", None)
        if features is None:
            return
        try:
            self.estimator.predict(np.zeros((1, features)))
        except Exception:
            # A pipeline may well refuse zeros (unknown categories) and serve real inputs.
            log.warning("No warm-up: the model refuses %s zeros", features, exc_info=True)


def find_file(path: Path) -> Path:
    """The model's file: the path itself, or what its folder holds."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: there is no such file or folder.")
    found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
    if len(found) == 1:
        return found[0]
    names = ", ".join(file.name for file in found) or "none"
    raise FileNotFoundError(
        f"{path}: the folder must hold exactly one {' or '.join(SUFFIXES)} file; it holds {names}. "
        "Name the file itself."
    )
