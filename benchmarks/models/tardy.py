"""A model that usually takes 4 ms, and now and then much longer."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from clipper_container import ModelContainer

USUAL_S = 0.004
TAIL, SHAPE = 0.01, 1.2
"""One batch in a hundred takes 5 times as long and more, with a Pareto tail."""
MOST_S = 0.2


class Tardy(ModelContainer):
    """Answers 1 after its pause."""

    def __init__(self, model_data: str) -> None:
        super().__init__(model_data)
        self._rng = np.random.default_rng(int(Path(model_data).read_text(encoding="utf-8")))

    def predict_batch(self, inputs: Any) -> Any:
        """int64[batch]"""
        is_late = self._rng.random() < TAIL
        factor = 5 * (1 + self._rng.pareto(SHAPE)) if is_late else 1 + 0.2 * self._rng.random()
        time.sleep(min(USUAL_S * factor, MOST_S))
        return np.ones(len(inputs), dtype=np.int64)
