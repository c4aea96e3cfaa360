"""The sleeping model, whose processes can be slowed one by one while they run.

A process takes ten times as long while the folder that the model was deployed with holds a file
named by its process id.
"""

import os
import time
from pathlib import Path
from typing import Any

from clipper_container import ModelContainer

FACTOR = 10


class Slowable(ModelContainer):
    """5 ms for a batch and 50 us for each of its inputs, or ten times as long."""

    def __init__(self, model_data: str) -> None:
        super().__init__(model_data)
        self._mark = Path(model_data) / str(os.getpid())

    def predict_batch(self, inputs: Any) -> Any:
        """float64[batch], the sum of each input."""
        pause_s = 0.005 + 0.00005 * len(inputs)
        time.sleep(pause_s * FACTOR if self._mark.exists() else pause_s)
        return inputs.sum(axis=1, dtype="float64")
