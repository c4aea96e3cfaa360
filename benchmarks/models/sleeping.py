"""A model that waits, as for an accelerator: 5 ms for a batch, and 50 us for each of its inputs."""

import time
from typing import Any

from clipper_container import ModelContainer


class Sleeping(ModelContainer):
    """Answers with the sum of each input, after the pause."""

    def predict_batch(self, inputs: Any) -> Any:
        """float64[batch]."""
        time.sleep(0.005 + 0.00005 * len(inputs))
        return inputs.sum(axis=1, dtype="float64")
