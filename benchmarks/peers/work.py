"""What every system computes, by the same code: three models, and what a server is told.

It runs in the peers' own environments too, and so needs nothing but numpy and joblib. A server
reads its orders from environment variables, as most of these systems start their own workers.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import joblib
import numpy as np
from numpy.typing import NDArray


class Model(Protocol):
    """Takes a batch of rows, returns one number for each."""

    dtype: Any

    def predict(self, batch: NDArray[Any]) -> NDArray[Any]: ...


class Noop:
    """The sum of float32[batch, 8]: what a system costs when the model costs nothing."""

    dtype = np.float32

    def predict(self, batch: NDArray[Any]) -> NDArray[Any]:
        """float64[batch]."""
        sums: NDArray[Any] = batch.sum(axis=1, dtype=np.float64)
        return sums


class Sleeping(Noop):
    """The same after a pause, as of an accelerator: long for one, little longer for many."""

    def predict(self, batch: NDArray[Any]) -> NDArray[Any]:
        """float64[batch]."""
        time.sleep(0.005 + 0.00005 * len(batch))
        return super().predict(batch)


class Classifier:
    """A trained scikit-learn estimator on float64[batch, 784]."""

    dtype = np.float64

    def __init__(self, file: Path) -> None:
        self.estimator = joblib.load(file)

    def predict(self, batch: NDArray[Any]) -> NDArray[Any]:
        """int64[batch]."""
        classes: NDArray[Any] = self.estimator.predict(batch)
        return classes


@dataclass(frozen=True, slots=True)
class Orders:
    """What a server is to do."""

    model: str
    classifier: Path
    port: int
    max_batch_size: int
    wait_ms: float
    """How long a batch may wait to be filled; 0: not at all."""
    slo_s: float
    """Within which queries are to be answered."""
    batched: bool
    """Whether requests are to be put together at all."""
    apart: bool
    """Whether the model is to run in a process of its own, where the system leaves that open."""

    def variables(self) -> dict[str, str]:
        """As environment variables."""
        return {
            "BENCH_MODEL": self.model,
            "BENCH_CLASSIFIER": str(self.classifier),
            "BENCH_PORT": str(self.port),
            "BENCH_MAX_BATCH_SIZE": str(self.max_batch_size),
            "BENCH_WAIT_MS": str(self.wait_ms),
            "BENCH_SLO_S": str(self.slo_s),
            "BENCH_BATCHED": str(int(self.batched)),
            "BENCH_APART": str(int(self.apart)),
        }

    def load(self) -> Model:
        """The model that they name."""
        if self.model == "classifier":
            return Classifier(self.classifier)
        return Sleeping() if self.model == "sleeping" else Noop()


def orders() -> Orders:
    """Those in this process's environment."""
    return Orders(
        model=os.environ["BENCH_MODEL"],
        classifier=Path(os.environ["BENCH_CLASSIFIER"]),
        port=int(os.environ["BENCH_PORT"]),
        max_batch_size=int(os.environ["BENCH_MAX_BATCH_SIZE"]),
        wait_ms=float(os.environ["BENCH_WAIT_MS"]),
        slo_s=float(os.environ["BENCH_SLO_S"]),
        batched=os.environ["BENCH_BATCHED"] == "1",
        apart=os.environ["BENCH_APART"] == "1",
    )
