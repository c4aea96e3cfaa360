"""Streams of images of digits in which inputs come again, not quite the same, and a model of them.

Pixels are scaled to [0, 1]. The model is trained on one half of scikit-learn's digits; streams draw
from the other half, so that its answers are right about as often as for images it never saw.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stream:
    """Queries in their order, with the truth and the model's scores for each."""

    name: str
    images: npt.NDArray[np.float32]
    """float32[queries, 64]"""
    labels: Labels
    scores: Floats
    """float64[queries, 10]"""

    @property
    def accuracy(self) -> float:
        """How often the model itself is right."""
        return float((self.scores.argmax(axis=1) == self.labels).mean())


class Digits:
    """The held-out half, the model, and streams of both."""

    def __init__(self) -> None:
        images, labels = load_digits(return_X_y=True)
        train, self.images, train_labels, self.labels = train_test_split(
            images / 16, labels, test_size=0.5, random_state=1, stratify=labels
        )
        self._model = LogisticRegression(max_iter=1000).fit(train, train_labels)
        self._rng = np.random.default_rng(2)

    @property
    def median_length(self) -> float:
        """Of an image as a vector; turns an angle into a distance."""
        return float(np.median(np.linalg.norm(self.images, axis=1)))

    def streams(self, queries: int) -> list[Stream]:
        """One for each way in which inputs may be alike; no input comes twice in a stream."""
        chosen = self._rng.integers(len(self.images), size=queries)
        images, labels = self.images[chosen], self.labels[chosen]
        shifted, shifted_labels = self._shifted(queries)
        return [
            *(self._stream(f"noise {sd:.0%}", self._noisy(images, sd), labels) for sd in NOISE),
            self._stream("one pixel off", shifted, shifted_labels),
            self._stream("all different", self.images[:queries], self.labels[:queries]),
        ]

    def _stream(self, name: str, images: Floats, labels: Labels) -> Stream:
        rounded = images.astype(np.float32)
        return Stream(name, rounded, labels, self._model.predict_proba(rounded))

    def _noisy(self, images: Floats, sd: float) -> Floats:
        return np.clip(images + self._rng.normal(scale=sd, size=images.shape), 0, 1)

    def _shifted(self, queries: int) -> tuple[Floats, Labels]:
        """Images as they are, and moved by one pixel in four directions, in random order."""
        squares = self.images.reshape(-1, 8, 8)
        moves = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]
        images = np.concatenate([np.roll(squares, move, axis=(1, 2)) for move in moves])
        order = self._rng.permutation(len(images))[:queries]
        return images.reshape(len(images), -1)[order], np.tile(self.labels, len(moves))[order]


NOISE = (0.01, 0.03, 0.1)
"""Standard deviations, in the range of a pixel."""
