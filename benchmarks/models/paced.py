"""A model that takes 2 ms for each query."""

import time
from typing import Any

from clipper_container import ModelContainer


class Paced(ModelContainer):
    """Answers with the sum of each input, after the pause."""

    def predict_batch(self, inputs: Any) -> Any:
        """float64[batch]"""
        time.sleep(0.002 * len(inputs))
        return inputs.sum(axis=1, dtype="float64")
