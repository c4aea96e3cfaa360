"""The approximate cache of one model version: outputs of near inputs, and the guard over them.

An index of the exact cache's entries (`approximate`) finds the nearest input within the radius; its
output is served instead of the model's own. A share of such hits is computed by the model as well,
off the critical path, and compared (`audit`). When too many disagree, it switches itself off.
"""

import logging

import numpy as np

from clipper.abstraction.approximate import ApproximateIndex, Metric
from clipper.abstraction.audit import Audit
from clipper.abstraction.cache import Entry
from clipper.core.errors import InvalidInput
from clipper.core.metrics import ModelStats
from clipper.core.types import Input, Model, Output

log = logging.getLogger(__name__)


class Approximation:
    """What a model version may answer without being asked."""

    def __init__(self, model: Model, stats: ModelStats, rng: np.random.Generator) -> None:
        """The model has to ask for an approximate cache.

        Raises:
            InvalidInput: what it asks for cannot be.
        """
        asked = model.approximate_cache
        assert asked is not None
        if asked.metric not in list(Metric):
            raise InvalidInput(
                f"approximate_cache.metric is '{asked.metric}'.",
                hint=f"Choose one of: {', '.join(Metric)}.",
            )
        self.index = ApproximateIndex[Entry](
            Metric(asked.metric), asked.radius, model.input_type, rng, asked.margin
        )
        self.audit = Audit(asked.audit, asked.budget, asked.tolerance, rng)
        self._model = model.id
        self._stats = stats
        stats.approximate_is_on = True

    def fetch(self, input: Input) -> Output | None:
        """The output for the nearest input within the radius, or None."""
        entry = self.index.find(input)
        if entry is None:
            return None
        entry.used = True
        self._stats.approximate_hits += 1
        return entry.output

    def judge(self, served: Output, true: Output) -> None:
        """The model has answered what was served approximately; it may end here."""
        self.audit.judge(served, true)
        self._stats.audited = self.audit.audited
        self._stats.disagreed = self.audit.disagreed
        self._stats.approximate_is_on = self.audit.is_on
        if not self.audit.is_on:
            extra = {"action": "approximate_cache_off", "model": str(self._model)}
            reason = self.audit.reason
            log.warning("The approximate cache of %s is off: %s", self._model, reason, extra=extra)
