"""A model that waits 40 ms for each batch, as for an accelerator of its own."""

import time
from typing import Any

from clipper_container import ModelContainer


class Resting(ModelContainer):
    """Answers with the sum of each input, after the pause."""

    def predict_batch(self, inputs: Any) -> Any:
        """float64[batch]"""
        time.sleep(0.04)
        return inputs.sum(axis=1, dtype="float64")
