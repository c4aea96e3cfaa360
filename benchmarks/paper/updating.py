"""Partial update against retraining: what one feedback costs (a simulation in this process).

Updating one user's weights over the outputs of a few models is set against fitting a model of the
shared features anew; both on the digits.
"""

import time
from statistics import mean
from typing import Any

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from clipper.core.outputs import output_of
from clipper.core.types import ModelId
from clipper.selection.linear import Linear
from clipper.selection.policy import Lesson, Selection
from paper.figure import Figure, Line

MODELS = tuple(ModelId(f"m{number}", "1") for number in range(20))
PAPER_MS = (0.43, 7140.0)


def run(quick: bool) -> Figure:
    """Time both."""
    updates, fits = (20, 1) if quick else (500, 5)
    update_ms = mean(timed(update) for _ in range(updates)) * 1e3
    x, y = load_digits(return_X_y=True)
    fit_ms = (
        mean(timed(lambda: LogisticRegression(max_iter=2000).fit(x, y)) for _ in range(fits)) * 1e3
    )
    lines = [
        Line(
            "update of a user's weights",
            f"{PAPER_MS[0]} ms",
            f"{update_ms:.3f} ms",
            f"linear, {len(MODELS)} models",
        ),
        Line(
            "retraining",
            f"{PAPER_MS[1]:,.0f} ms",
            f"{fit_ms:,.0f} ms",
            f"logistic regression, {len(y)} digits",
        ),
        Line("factor", f"{PAPER_MS[1] / PAPER_MS[0]:,.0f}", f"{fit_ms / update_ms:,.0f}", ""),
    ]
    return Figure(
        "updating",
        "A partial update against retraining (simulation)",
        lines,
        "The paper refits a user's weights on its last feedbacks and retrains on TIMIT; ours "
        "changes the inverse of the second moments by one observation, and the data here are far "
        "fewer.",
        {"update_ms": update_ms, "retrain_ms": fit_ms},
    )


def timed(work: Any) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


POLICY = Linear()
OUTPUTS = {model: output_of(place % 3) for place, model in enumerate(MODELS)}
LESSON = Lesson(Selection(MODELS, 1.0), dict.fromkeys(MODELS, 0.5), OUTPUTS, 1)
STATE = POLICY.observe(POLICY.init(), MODELS, LESSON)


def update() -> None:
    """One lesson."""
    POLICY.observe(STATE, MODELS, LESSON)
