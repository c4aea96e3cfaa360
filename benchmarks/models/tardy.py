"""A model that usually takes 4 ms, and now and then much longer."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from clipper_container import ModelContainer

USUAL_S = 0.004
SHAPE = 1.2
"""Of the Pareto tail: one batch in 20 takes more than 12 times as long."""
MOST_S = 0.2


class Tardy(ModelContainer):
    """Answers 1 after its pause."""

    def __init__(self, model_data: str) -> None:
        super().__init__(model_data)
        self._rng = np.random.default_rng(int(Path(model_data).read_text(encoding="utf-8")))

    def predict_batch(self, inputs: Any) -> Any:
        """int64[batch]"""
        tail = self._rng.random() < 0.05
        factor = 1 + self._rng.pareto(SHAPE) * 10 if tail else 1 + 0.2 * self._rng.random()
        time.sleep(min(USUAL_S * factor, MOST_S))
        return np.ones(len(inputs), dtype=np.int64)
