"""The models of figures 3 and 4, trained on generated data of 784 features in ten classes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC, LinearSVC

FEATURES, CLASSES, SAMPLES = 784, 10, 3000
NOISE = 1.5
"""So that the kernel machine keeps most of the samples as support vectors."""


def deployments(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """What to deploy, by the name of the figure's line."""
    rng = np.random.default_rng(1)
    centres = rng.random((CLASSES, FEATURES))
    labels = rng.integers(CLASSES, size=SAMPLES)
    inputs = centres[labels] + rng.normal(0, NOISE, (SAMPLES, FEATURES))
    models = {
        "linear SVM": LinearSVC(random_state=1),
        "logistic regression": LogisticRegression(max_iter=200),
        "random forest": RandomForestClassifier(10, max_depth=16, random_state=1, n_jobs=1),
        "kernel SVM": SVC(),
    }
    found: dict[str, Mapping[str, Any]] = {"noop": {"path": "", "framework": "noop"}}
    for name, model in models.items():
        file = folder / f"{name.replace(' ', '-')}.joblib"
        joblib.dump(model.fit(inputs, labels), file)
        found[name] = {"path": str(file), "framework": "sklearn"}
    return found
