"""A model that is right as often as it was told to be, for experiments with failures.

The input is four numbers: a seed, the number of the query, the true label (0 to 9), and a phase.
Whether the model is right is settled by all of them and its own name, so that a repeated query gets
the same answer. Its data is a JSON file: {"name": ..., "accuracy": [one for each phase]}.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from clipper_container import ModelContainer


class Oracle(ModelContainer):
    """Right by chance."""

    def __init__(self, model_data: str) -> None:
        super().__init__(model_data)
        what = json.loads(Path(model_data).read_text(encoding="utf-8"))
        self._salt = sum(what["name"].encode()) * 7919
        self._accuracy = np.array(what["accuracy"])

    def predict_batch(self, inputs: Any) -> Any:
        """int64[batch]"""
        seeds, numbers, labels, phases = inputs.T.astype(np.int64)
        luck = _noise(seeds * 1_000_003 + numbers * 10_007 + self._salt)
        other = 1 + (_noise(numbers * 31 + seeds * 17 + self._salt + 5) * 9).astype(np.int64)
        is_right = luck < self._accuracy[phases]
        return np.where(is_right, labels, (labels + other) % 10)


def _noise(keys: Any) -> Any:
    """float64[n] in [0, 1), by the finaliser of splitmix64."""
    x = keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) / float(1 << 53)
