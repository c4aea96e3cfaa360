"""What the workers have counted so far: what each told last, and what those that ended had told."""

from clipper.core.metrics import Metrics
from clipper.serving.engine import Gone
from clipper.serving.figures import Figures, ReplicaFigures
from clipper.workers.merging import (
    Told,
    add_all,
    merged_approximations,
    merged_replica,
)


class Ledger:
    """Sums that never go back, whoever ends; workers are known by a number of their own."""

    def __init__(self) -> None:
        self._latest: dict[int, Told] = {}
        self._past = Metrics()
        self._past_replicas: dict[int, ReplicaFigures] = {}
        self._forgot_at = 0

    def note(self, worker: int, told: Told) -> None:
        """A worker has told all that it has counted.

        What it told before it knew that something is gone, does not count.
        """
        if told.adopted >= self._forgot_at:
            self._latest[worker] = told

    def retire(self, worker: int) -> None:
        """It has ended; what it counted stays counted."""
        told = self._latest.pop(worker, Told())
        add_all(self._past, told.ended())
        for life, figures in told.replicas.items():
            counted = ReplicaFigures(0, "", None, figures.batches, figures.queries)
            past = self._past_replicas.get(life)
            self._past_replicas[life] = merged_replica([past, counted]) if past else counted

    def forget(self, gone: Gone, number: int) -> None:
        """Another application or version of the same name begins at zero.

        `number` is that of the configuration that no longer has them.
        """
        self._forgot_at = number
        for app in gone.applications:
            self._past.forget_application(app)
        for model in gone.models:
            self._past.forget_model(model)
        for told in self._latest.values():
            told.applications = {
                app: numbers
                for app, numbers in told.applications.items()
                if app not in gone.applications
            }
            told.models = [one for one in told.models if one[0] not in gone.models]

    def end(self, life: int) -> None:
        """This life of a replica is over."""
        self._past_replicas.pop(life, None)

    def replica(self, life: int) -> ReplicaFigures | None:
        """What the workers know of a life of a replica; None while nobody does."""
        parts = [told.replicas[life] for told in self._latest.values() if life in told.replicas]
        past = self._past_replicas.get(life)
        return merged_replica([*parts, past] if past else parts) if parts else None

    def total(self, own: Figures) -> Figures:
        """What all have counted of the applications and versions that the main process knows."""
        metrics = Metrics()
        for told in (Told.of(own.metrics), Told.of(self._past), *self._latest.values()):
            add_all(metrics, _known(told, own.metrics))
        told_of = merged_approximations(
            pair for told in self._latest.values() for pair in told.approximations
        )
        approximations = {
            model: told_of.get(model, one) for model, one in own.approximations.items()
        }
        return Figures(metrics, approximations, own.uptime_s)


def _known(told: Told, metrics: Metrics) -> Told:
    """Without what is deleted, of which a worker may have told before it knew."""
    return Told(
        {app: it for app, it in told.applications.items() if app in metrics.applications},
        [one for one in told.models if one[0] in metrics.models],
        told.cache,
        degraded=told.degraded,
        worker_restarts=told.worker_restarts,
    )
