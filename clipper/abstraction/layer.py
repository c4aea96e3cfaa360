"""The model abstraction layer (Clipper, NSDI '17): one call for every model, whatever is behind it.

A `ServedModel` is one model version as the layers above see it. An input goes to the cache first;
if an identical one is being computed already, to that computation; else into the version's queue.
"""

import contextlib
from dataclasses import dataclass
from functools import partial

import msgspec
import numpy as np

from clipper.abstraction.approximation import Approximation
from clipper.abstraction.batching import BUDGET, make_control
from clipper.abstraction.cache import ModelCache, PredictionCache
from clipper.abstraction.dispatcher import Dispatcher, Replica
from clipper.abstraction.latency import LatencyEstimate, Profile
from clipper.abstraction.member import Member
from clipper.abstraction.queue import BatchQueue, Task, Waiter
from clipper.abstraction.scheduler import Scheduler
from clipper.abstraction.usual import UsualOutput
from clipper.core.clock import loop_clock
from clipper.core.errors import ClipperError, Overloaded, ReplicaUnavailable
from clipper.core.metrics import Metrics, ModelStats
from clipper.core.types import Input, Model, ModelId, Output

DEFAULT_SLO_S = 0.1
"""The objective of a model that no application is linked to yet."""
AUDIT_PATIENCE_S = 60.0
"""How long an audit may wait until the model has time for it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of every model's queue."""

    queue: int = 10_000
    """Queries waiting."""
    queue_bytes: int = 256 * 1024 * 1024
    batch_timeout_s: float = 30.0
    """A batch that takes longer has hung its replica."""


class Near(msgspec.Struct, frozen=True, gc=False):
    """The output for an input that is near the one that was asked about."""

    output: Output


class ServedModel:
    """A model version: its cache, its queue, what is in flight, and the replicas that drain it."""

    def __init__(self, model: Model, cache: ModelCache, limits: Limits, stats: ModelStats) -> None:
        self.id: ModelId = model.id
        self.stats = stats
        self.live = 0
        """Replicas that take batches now."""
        self._now = loop_clock()
        self._cache = cache
        self.approximation: Approximation | None = None
        """None where the model asks for none."""
        self.usual: UsualOutput | None = None
        """None where no application averages its outputs."""
        self._limits = limits
        self._queue = BatchQueue(limits.queue, limits.queue_bytes, self._now, stats)
        self.scheduler = Scheduler(self._queue)
        self._in_flight: dict[Input, Task] = {}
        self._objective_s = DEFAULT_SLO_S * BUDGET
        self.profile: Profile | None = None
        """What an earlier life knew of the model's latency."""
        self.adopt(model)

    def __repr__(self) -> str:
        return (
            f"<ServedModel {self.id} live={self.live} queued={len(self._queue)} "
            f"in_flight={len(self._in_flight)}>"
        )

    def predict(
        self, input: Input, deadline: float, waiter: Waiter, group: object = None
    ) -> Output | Near | Task:
        """The output if it is known or a near one is, else the task that `waiter` now waits for.

        Raises:
            QueueFull, Shed: there is no room to wait, or the wait would be too long.
            ReplicaUnavailable: no replica is there, and the output is not known.
        """
        output = self._cache.fetch(input)
        if output is not None:
            self.stats.cache_hits += 1
            return output
        task = self._in_flight.get(input)
        if task is not None:
            self.stats.joined += 1
            if deadline != task.deadline:
                self._queue.join(task, deadline)
        else:
            if self.approximation is not None and (near := self._near(self.approximation, input)):
                return near
            if not self.live:
                raise ReplicaUnavailable(f"No replica of {self.id} is ready.")
            self.stats.cache_misses += 1
            task = Task(input, deadline, self._on_settled, [], group)
            self.scheduler.submit(task)
            self._in_flight[input] = task
        task.waiters.append(waiter)
        return task

    def sheds(self, input: Input, deadline: float) -> bool:
        """Whether an answer would come too late, so that the model is not to be asked.

        For who has one input and no other model to ask; `predict` would come to the same, at twice
        the cost.
        """
        if (
            self.live
            and self.scheduler.is_hopeless(deadline)
            and self.approximation is None
            and input not in self._in_flight
            and self._cache.fetch(input) is None
        ):
            self.stats.shed += 1
            return True
        return False

    def _near(self, approximation: Approximation, input: Input) -> Near | None:
        """The output for a near input; now and then, the model is asked as well."""
        output = approximation.fetch(input) if approximation.audit.is_on else None
        if output is None:
            return None
        if self.live and approximation.audit.wants():
            judge = partial(self._judge, approximation, output)
            deadline = self._now() + AUDIT_PATIENCE_S
            # It is no query that others could join: its turn comes after everybody else's.
            task = Task(input, deadline, self._on_audited, [judge])
            with contextlib.suppress(Overloaded):
                self.scheduler.submit(task)
        return Near(output)

    def _judge(
        self, approximation: Approximation, served: Output, true: Output | ClipperError
    ) -> None:
        if isinstance(true, Output) and approximation.audit.is_on:
            approximation.judge(served, true)
            if not approximation.audit.is_on:
                self._cache.index_with(None)

    def _on_audited(self, task: Task, output: Output | None) -> None:
        if task.is_queued:
            self._queue.withdraw(task)
        if output is not None:
            self._cache.store(task.input, output)

    def withdraw(self, task: Task, waiter: Waiter) -> None:
        """A waiter leaves; a task that nobody waits for any more is not sent to a replica."""
        if waiter in task.waiters:
            task.waiters.remove(waiter)
            if not task.waiters and task.is_queued:
                self._queue.withdraw(task)
                if not task.sent:
                    del self._in_flight[task.input]

    def _on_settled(self, task: Task, output: Output | None) -> None:
        del self._in_flight[task.input]
        if task.is_queued:
            self._queue.withdraw(task)
        if output is not None:
            self._cache.store(task.input, output)
            if self.usual is not None:
                self.usual.add(output)

    def adopt(self, model: Model) -> None:
        """Take over a record of the same version."""
        self.model = model
        self.scheduler.wait_s = model.batch_wait_ms / 1e3
        self.scheduler.hedges.share = model.hedging
        if model.approximate_cache is not None and self.approximation is None:
            self.approximation = Approximation(model, self.stats, np.random.default_rng())
            self._cache.index_with(self.approximation.index)

    def set_slo(self, slo_s: float | None) -> None:
        """Batches are sized for the strictest of the linked applications."""
        self._objective_s = (DEFAULT_SLO_S if slo_s is None else slo_s) * BUDGET
        for member in self.scheduler.members:
            member.control.objective_s = self._objective_s

    def dispatcher(self, replica: Replica) -> Dispatcher:
        """A dispatcher that drains this model's queue to a replica, with a control of its own."""
        estimate = LatencyEstimate(self.known_profile())
        member = Member(make_control(self.model, self._objective_s, estimate), estimate)
        return Dispatcher(replica, self.scheduler, member, self._limits.batch_timeout_s)

    def known_profile(self) -> Profile | None:
        """The latency of a replica that is there, or was; else what an earlier life knew."""
        known = [one.estimate for one in self.scheduler.members if one.estimate.samples]
        if known:
            self.profile = max(known, key=lambda one: one.samples).profile
        return self.profile

    async def serve(self, dispatcher: Dispatcher) -> None:
        """Run a dispatcher; while it runs, its replica counts as live.

        Raises:
            ReplicaFailed: the replica broke off or hangs.
        """
        self.live += 1
        try:
            await dispatcher.run()
        finally:
            self.live -= 1
            if dispatcher.member.estimate.samples:
                self.profile = dispatcher.member.estimate.profile

    def close(self) -> None:
        """The version was deleted: nobody waits for it any longer."""
        self._queue.fail_all(ReplicaUnavailable(f"{self.id} was deleted."))


class ModelAbstractionLayer:
    """All model versions that are served."""

    def __init__(self, cache: PredictionCache, limits: Limits, metrics: Metrics) -> None:
        self.models: dict[ModelId, ServedModel] = {}
        self._caches: dict[ModelId, ModelCache] = {}
        self._cache = cache
        self._limits = limits
        self._metrics = metrics

    def add(self, model: Model) -> ServedModel:
        """Serve a version; one that is served already goes on, with its record replaced."""
        served = self.models.get(model.id)
        if served is None:
            cache = self._caches[model.id] = self._cache.partition()
            stats = self._metrics.model(model.id)
            served = self.models[model.id] = ServedModel(model, cache, self._limits, stats)
        served.adopt(model)
        return served

    def remove(self, model: ModelId) -> None:
        """Stop serving a version and forget its outputs."""
        served = self.models.pop(model, None)
        if served is not None:
            served.close()
            self._caches.pop(model).close()
            self._metrics.forget_model(model)
