"""Serves a scikit-learn estimator, or whatever else has `predict`: joblib, pickle or skops files.

The output option names another method: `predict_proba`, `decision_function`, `transform`.
"""

import logging
from importlib import import_module
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
from clipper_container import LoadError, ModelContainer, columns
from clipper_container.forms import Form
from clipper_container.saved import find_file, reading
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

log = logging.getLogger(__name__)

SUFFIXES = (".joblib", ".pkl", ".pickle", ".skops")
CLASSES_SHOWN = 20


class SklearnContainer(ModelContainer):
    """Answers with one method of the estimator; arrays and lists of texts go in as they are.

    One that was fitted on columns with names is given them by name.
    """

    def __init__(self, model_data: str) -> None:
        """Load the file, or the only such file of a folder."""
        super().__init__(model_data)
        self._names: list[str] = []
        path = find_file(model_data, SUFFIXES)
        with reading(path, "a saved estimator", "--framework sklearn"):
            self.model = load_skops(path) if path.suffix == ".skops" else joblib.load(path)
        self.about = f"scikit-learn {sklearn.__version__}, {type(self.model).__name__}"
        if not self.has_function:
            self._describe(self.options.output or "predict", path)

    def _describe(self, method: str, path: Path) -> None:
        self._answer: Any = getattr(self.model, method, None)
        if not callable(self._answer):
            raise LoadError(
                f"{path} holds a {type(self.model).__name__}, which has no {method}; "
                "save a fitted estimator or pipeline that has it."
            )
        self.sample_is_guess = True
        if takes_texts(self.model):
            self.input_type = self.input_form = "strings"
            self.sample_input = "a text"
        else:
            check_fitted(self.model, path)
            self._describe_columns(path)
        classes = getattr(self.model, "classes_", None)
        if method == "predict" and isinstance(classes, np.ndarray) and classes.ndim == 1:
            shown = ", ".join(map(str, classes[:CLASSES_SHOWN].tolist()))
            more = ", ..." if len(classes) > CLASSES_SHOWN else ""
            kind = "text" if classes.dtype.kind in "OU" else classes.dtype.name
            self.output_form = f"{kind}, one of {shown}{more}"

    def _describe_columns(self, path: Path) -> None:
        features = getattr(self.model, "n_features_in_", None)
        if not features:
            return
        self.refuses = ("strings", "bytes")
        self.input_form = str(Form(np.dtype(np.float64), (features,)))
        self.sample_input = np.zeros(features)
        names = columns.names_of(self.model)
        by_name = columns.selects_by_name(self.model)
        if not names or not columns.check_frames(by_name, path):
            return
        self._names = names
        if by_name or columns.has_texts(self.model) or not self._takes(self.sample_input):
            self.input_type, self.input_form = "json", columns.shown(names)
            self.sample_input = columns.guess_of(self.model, names)
        else:
            self.input_form += f" of {columns.shown(names)}"

    def _takes(self, sample: Any) -> bool:
        try:
            self.predict_batch(sample[np.newaxis])
        except LoadError:
            raise
        except Exception:
            log.debug("Some column is not of numbers", exc_info=True)
            return False
        return True

    def predict_batch(self, inputs: Any) -> Any:
        """One answer for each input."""
        if isinstance(inputs, list) and isinstance(inputs[0], np.ndarray):
            raise ValueError(self._ragged(inputs))
        if self._names:
            inputs = columns.frame_of(inputs, self._names)
        try:
            answers = self._answer(inputs)
        except NotFittedError as error:
            raise LoadError(f"The model is not fitted: {error}") from error
        return answers.toarray() if hasattr(answers, "toarray") else answers  # a sparse matrix

    def _ragged(self, inputs: list[Any]) -> str:
        shapes = sorted({item.shape for item in inputs})
        features = getattr(self.model, "n_features_in_", None)
        wanted = f"{features} numbers" if features else "as many numbers as the others"
        return f"Inputs of the batch differ in shape, {shapes[0]} and {shapes[-1]}; send {wanted}."


def check_fitted(estimator: Any, path: Path) -> None:
    """Refuse an estimator that was saved before it was fitted.

    Raises:
        LoadError: its last step is one of scikit-learn's, and is not.
    """
    steps = getattr(estimator, "steps", None)
    last = steps[-1][1] if steps else estimator
    # Others' may keep what they learned under names of their own; of old ones there is no telling.
    if not type(last).__module__.startswith("sklearn.") or not hasattr(last, "__sklearn_tags__"):
        return
    try:
        check_is_fitted(last)
    except NotFittedError as error:
        raise LoadError(
            f"{path} holds a {type(last).__name__} that is not fitted; save it after fit."
        ) from error


def takes_texts(estimator: Any) -> bool:
    """Whether its first step is one of those that make vectors of texts."""
    steps = getattr(estimator, "steps", None)
    first = steps[0][1] if steps else estimator
    return getattr(first, "input", None) == "content"


def load_skops(path: Path) -> Any:
    """An estimator of types that are known to run no code of anybody's when they are read.

    Raises:
        LoadError: it has others.
    """
    from skops import io

    unknown = io.get_untrusted_types(file=path)
    if untrusted := [name for name in unknown if not is_of_sklearn(name)]:
        raise LoadError(
            f"{path} holds types that skops does not trust: {', '.join(untrusted)}. "
            "Where you do trust the file, save the model with joblib instead."
        )
    return io.load(path, trusted=unknown)


def is_of_sklearn(name: str) -> bool:
    """Whether it is a class of scikit-learn: skops' own list lacks what is compiled, as trees."""
    module, _, attribute = name.rpartition(".")
    return name.startswith("sklearn.") and isinstance(
        getattr(import_module(module), attribute, None), type
    )
