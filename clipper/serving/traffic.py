"""What becomes of an application's queries, by model, for a policy that watches it."""

from clipper.core.types import ModelId
from clipper.selection.policy import Traffic


class TrafficLog:
    """Counts since they were last taken."""

    def __init__(self, slo_s: float) -> None:
        self._slo_s = slo_s
        self._counts: dict[ModelId, Traffic] = {}

    def note(self, model: ModelId, latency_s: float, is_failed: bool) -> None:
        """One query that this model was to answer."""
        traffic = self._counts.get(model)
        if traffic is None:
            traffic = self._counts[model] = Traffic()
        traffic.asked += 1
        if is_failed:
            traffic.failed += 1
        else:
            share = min(latency_s / self._slo_s, 1.0)
            traffic.latency += share
            traffic.square += share * share

    def take(self) -> dict[ModelId, Traffic]:
        """All counts, which begin anew."""
        counts, self._counts = self._counts, {}
        return counts

    def give_back(self, counts: dict[ModelId, Traffic]) -> None:
        """They could not be used yet."""
        for model, more in counts.items():
            traffic = self._counts.setdefault(model, Traffic())
            traffic.asked += more.asked
            traffic.failed += more.failed
            traffic.latency += more.latency
            traffic.square += more.square
